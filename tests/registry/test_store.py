from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from sentinel.core.facts import ProcessId
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.registry import schema
from sentinel.registry.entries import Child, Place, Proof, Status
from sentinel.registry.errors import RegistryBusy, RegistryDamaged, RegistryUnusable, TooNew
from sentinel.registry.store import Store

HERE = Place("box", "boot-1")
ROOT = ProcessId(100, 1000)
OTHER = ProcessId(200, 2000)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "registry.db"


@pytest.fixture
def store(path):
    with Store(path) as store:
        yield store


def begin(store, session="s1", root=ROOT, **more):
    return store.register(session, root, HERE, **{"kind": "registered", **more})


def test_what_is_registered_is_there_for_the_next_who_opens_it(path, store):
    entry = begin(store, name="api", project="/shop", labels={"team": "blue", "a": "b"})
    with Store(path) as other:
        assert other.sessions() == [entry]
        assert other.living("s1") == entry
    assert (entry.key, entry.name, entry.project, entry.root, entry.place) == ("s1#1", "api", "/shop", ROOT, HERE)
    assert entry.labels == {"team": "blue", "a": "b"}
    assert entry.status is Status.ACTIVE
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_same_root_again_is_the_same_session_and_beats(path):
    clock = [1000.0]
    with Store(path, now=(lambda: clock[0], lambda: clock[0] - 900)) as store:
        begin(store, name="api", project="/shop")
        clock[0] += 50
        again = begin(store, labels={"x": "y"})
    assert (again.generation, again.name, again.project, again.labels) == (1, "api", "/shop", {"x": "y"})
    assert (again.registered, again.heartbeat, again.beat) == (1000.0, 1050.0, 150.0)


def test_labels_that_are_not_named_again_stay(store):
    begin(store, labels={"team": "blue"})
    assert begin(store).labels == {"team": "blue"}
    assert begin(store, labels={}).labels == {}


def test_another_root_is_the_next_generation_and_ends_the_one_before(store):
    begin(store)
    store.add_child("s1", OTHER)
    second = begin(store, root=ProcessId(300, 1))
    assert (second.generation, second.children) == (2, ())
    first, last = store.sessions(ended=True)
    assert (first.status, first.generation, first.children) == (Status.ENDED, 1, (Child(OTHER, Proof.NONE),))
    assert "another process" in first.why
    assert last == second


def test_the_same_numbers_of_another_boot_are_another_session(store):
    begin(store)
    assert store.register("s1", ROOT, Place("box", "boot-2"), kind="registered").generation == 2


def test_children_are_added_once_and_removed(store):
    begin(store)
    for _ in range(2):
        store.add_child("s1", OTHER)
    store.add_child("s1", ProcessId(OTHER.pid, 7))
    assert {child.id for child in store.living("s1").children} == {OTHER, ProcessId(OTHER.pid, 7)}
    assert [entry.id for entry in store.find(OTHER)] == ["s1"]
    assert [entry.id for entry in store.find(ROOT)] == ["s1"]
    assert store.find(ProcessId(OTHER.pid, 8)) == []
    assert set(store.remove_child("s1", OTHER.pid)) == {OTHER, ProcessId(OTHER.pid, 7)}
    assert store.remove_child("s1", OTHER.pid) == []
    assert store.living("s1").children == ()


def test_a_proof_stays_when_the_child_is_named_again_without_one(store):
    begin(store)
    for proof in (Proof.NONE, Proof.NAMED, Proof.NONE, Proof.DESCENDS):
        store.add_child("s1", OTHER, proof)
    assert store.living("s1").children == (Child(OTHER, Proof.NAMED),)


def test_the_same_numbers_in_another_pid_namespace_are_another_session(store):
    begin(store)
    assert store.register("s1", ROOT, Place("box", "boot-1", 7), kind="registered").generation == 2
    assert store.living("s1").place.namespace == 7


def test_a_registry_of_the_first_version_is_brought_to_the_present_one(path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(schema, "VERSION", 1)
        before.setattr(schema, "_STEPS", schema._STEPS[:1])
        old = sqlite3.connect(path, isolation_level=None)
        schema.prepare(old)
    old.execute("INSERT INTO sessions VALUES ('s1', 3, 'k', 'n', '/p', '{}', 'box', 'boot-1', 100, 1000, 'active', "
                "1.0, 2.0, 3.0, NULL, '')")  # fmt: skip
    old.execute("INSERT INTO children VALUES ('s1', 3, 200, 2000, 1.0)")
    old.close()
    with Store(path) as store:
        entry = store.living("s1")
        assert (entry.key, entry.place, entry.children) == ("s1#3", HERE, (Child(OTHER, Proof.NONE),))
        store.check()


def test_it_is_known_when_the_file_was_put_aside(path, store):
    assert store.in_place
    path.rename(path.with_suffix(".elsewhere"))
    assert not store.in_place
    Store(path).close()
    assert not store.in_place


@pytest.mark.parametrize("what", ["heartbeat", "end", "living"])
def test_a_session_that_is_not_there_is_told(store, what):
    with pytest.raises(NoSuchThing, match='"nobody"'):
        getattr(store, what)("nobody")
    for call in (store.add_child, store.remove_child):
        with pytest.raises(NoSuchThing):
            call("nobody", OTHER)


def test_an_ended_session_beats_no_more_and_is_forgotten_after_its_time(path):
    clock = [1000.0]
    with Store(path, now=(lambda: clock[0], lambda: clock[0])) as store:
        begin(store)
        store.add_child("s1", OTHER)
        ended = store.end("s1", "a test")
        assert (ended.status, ended.ended, ended.why) == (Status.ENDED, 1000.0, "a test")
        with pytest.raises(NoSuchThing):
            store.heartbeat("s1")
        assert store.sessions() == []
        clock[0] += 100
        assert store.forget_ended(100) == 0
        clock[0] += 1
        assert store.forget_ended(100) == 1
        assert store.sessions(ended=True) == []
        assert begin(store).children == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"session": ""},
        {"session": "x" * 121},
        {"kind": ""},
        {"name": "n" * 201},
        {"project": "/" + "p" * 4096},
        {"labels": {"a": "b" * 4096}},
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(store, fields):
    with pytest.raises(SentinelError, match="characters"):
        begin(store, **fields)
    assert store.sessions(ended=True) == []


def test_hostile_texts_come_back_as_they_were(store):
    name = "a'); DROP TABLE sessions; --\n\x1b[31m\"\u202e"
    assert begin(store, session=name, name=name, labels={name: name}).labels == {name: name}
    assert [entry.name for entry in store.sessions()] == [name]


# -- bad days ----------------------------------------------------------------------


def test_a_lock_that_is_not_given_back_is_told_after_the_wait(path, store):
    begin(store)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store(path, patience=0.05) as other:
        with pytest.raises(RegistryBusy, match="locked by another process"):
            other.heartbeat("s1")
        assert other.living("s1")  # who only reads does not wait
        holder.execute("ROLLBACK")
        other.heartbeat("s1")
    holder.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough for a header" * 100, b"SQLite format 3\0" + b"x" * 4096]
)
def test_another_file_is_not_touched(path, content):
    path.write_bytes(content)
    with pytest.raises(RegistryDamaged):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_not_touched(path):
    foreign = sqlite3.connect(path)
    foreign.execute("PRAGMA application_id = 7")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.commit()
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(RegistryDamaged, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_damage_in_the_middle_is_found(path):
    with Store(path) as store:
        for number in range(300):
            begin(store, f"s{number}", labels={"x": "y" * 200})
        store.check()
    raw = bytearray(path.read_bytes())
    for offset in range(4096 + 100, len(raw), 1024):
        raw[offset : offset + 64] = bytes(64)
    path.write_bytes(raw)
    with Store(path) as store, pytest.raises(RegistryDamaged):
        store.check()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET labels = '[1]'",
        "UPDATE sessions SET pid = 'many'",
        "UPDATE sessions SET heartbeat = 'now'",
        "INSERT INTO children VALUES ('s1', 1, 'x', 'y', 1.0, 'named')",
        "INSERT INTO children VALUES ('s1', 1, 5, 6, 1.0, 'somehow')",
    ],
)
def test_a_row_that_we_never_wrote_is_damage(path, store, change):
    begin(store)
    foreign = sqlite3.connect(path)
    foreign.execute(change)
    foreign.commit()
    foreign.close()
    with pytest.raises(RegistryDamaged):
        store.sessions()


def test_a_later_sentinels_registry_is_left_alone(path, store):
    sqlite3.connect(path).execute(f"PRAGMA user_version = {schema.VERSION + 1}").close()
    with pytest.raises(TooNew, match="upgrade"):
        Store(path)


def test_a_link_in_its_place_is_refused(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RegistryUnusable):
        Store(path)
    assert not (tmp_path / "elsewhere").exists()


VISITOR = """
import sys
from pathlib import Path
from sentinel.registry.store import Store
Store(Path(sys.argv[1])).close()
"""


def test_a_second_door_in_the_same_process_takes_no_locks_away(path, store):
    # fcntl locks fall when any descriptor of the file is closed: another process would think itself alone,
    # and take away the log in which we write.
    Store(path).close()
    subprocess.run([sys.executable, "-c", VISITOR, path], check=True, timeout=60)
    begin(store)
    assert path.with_name("registry.db-wal").exists()
    with Store(path) as another:
        assert another.living("s1")


# -- many at once ------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from sentinel.core.facts import ProcessId
from sentinel.registry.entries import Place
from sentinel.registry.store import Store
path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
with Store(path) as store:
    store.register(name, ProcessId(int(name), 1), Place("box", "boot-1"), kind="registered")
    for number in range(rounds):
        store.heartbeat("shared")
        store.add_child("shared", ProcessId(int(name) * 100000 + number, 1))
        if number % 2:
            assert store.remove_child("shared", int(name) * 100000 + number)
        print(number, flush=True)
"""


def writer(path, name, rounds):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(name), str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_six_writers_at_once_lose_nothing(path, store):
    begin(store, "shared")
    writers = [writer(path, name, 100) for name in range(1, 7)]
    for process in writers:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in writers:
        process.communicate(timeout=60)
    assert [process.returncode for process in writers] == [0] * 6
    expected = {name * 100000 + number for name in range(1, 7) for number in range(0, 100, 2)}
    assert {child.id.pid for child in store.living("shared").children} == expected
    assert {entry.id for entry in store.sessions()} == {"shared", *map(str, range(1, 7))}


def test_a_writer_killed_at_any_point_leaves_what_it_was_told_of(path, store):
    begin(store, "shared")
    chance = random.Random(7)  # noqa: S311 - moments to kill at, not secrets
    for name in range(1, 13):
        process = writer(path, name, 100000)
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(chance.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        said = [int(line) for line in process.communicate(timeout=60)[0].splitlines()]
        store.check()
        there = {child.id.pid - name * 100000 for child in store.living("shared").children} & set(range(100000))
        done = set(range((said[-1] if said else 0) + 1))
        assert {number for number in done if number % 2 == 0} <= there
        assert not {number for number in done if number % 2} & there
