"""A damaged registry: set aside, rebuilt from the journal and the living, and told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.events import RegistryRebuilt
from sentinel.errors import SentinelError
from sentinel.history import History
from sentinel.observe import processes
from sentinel.registry.entries import Status
from sentinel.registry.errors import RegistryBusy, RegistryDamaged, RegistryUnusable
from sentinel.registry.rebuild import turn
from sentinel.registry.registry import Registry
from sentinel.registry.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def open_registry(where):
    """Open the registry as a program does that only has no agent to tell."""
    with contextlib.ExitStack() as stack:
        yield lambda **more: stack.enter_context(Registry(where, tell=lambda _: None, **more))


def spoil(path):
    for suffix in ("-wal", "-shm"):  # with its log beside it, SQLite would not even notice
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"this was a registry, once" * 200)


def truth(registry):
    """All that a rebuilt registry has to know again. Heartbeats are in no journal."""
    return [
        replace(entry, registered=0.0, heartbeat=0.0, beat=0.0, ended=None) for entry in registry.sessions(ended=True)
    ]


def told(where):
    kinds = [entry.record["type"].removeprefix("dev.sentinel.") for entry in History(where.journal).read()]
    return kinds.count("registry.rebuilt")


def test_what_was_registered_is_known_again_and_the_damaged_file_kept(where, open_registry, sleeper):
    before = open_registry()
    root, child, other, over = (sleeper() for _ in range(4))
    before.register("api", pid=os.getpid(), project="/srv", labels={"team": "blau"}, name="Ä", kind="cron")
    before.add_child("api", child.pid)
    before.add_child("api", other.pid)
    before.remove_child("api", other.pid)
    before.register("again", pid=root.pid)
    before.register("again", pid=over.pid)
    before.end("again", "a test")
    known = truth(before)
    before.close()
    spoil(where.registry)
    after = open_registry()
    assert truth(after) == known
    assert [entry.key for entry in after.sessions()] == ["api#1"]
    (aside,) = where.state.glob("registry.db.damaged-*")
    assert aside.read_bytes().startswith(b"this was a registry")
    assert "was damaged, set aside as" in after.mended
    assert str(aside) in after.mended
    assert told(where) == 1
    assert open_registry().mended == ""
    after.heartbeat("api")


def test_who_has_ended_meanwhile_is_not_brought_back(where, open_registry, sleeper):
    before = open_registry()
    dead, alive, child = sleeper(), sleeper(), sleeper()
    before.register("dead", pid=dead.pid)
    before.register("alive", pid=os.getpid())
    before.add_child("alive", child.pid)
    for process in (dead, child):
        process.kill()
        process.wait()
    spoil(where.registry)
    after = open_registry()
    (entry,) = after.sessions()
    assert (entry.id, entry.children) == ("alive", ())
    assert [(e.status, e.why) for e in after.generations("dead")] == [(Status.ENDED, "its process has ended")]
    assert time.time() - entry.heartbeat < 60
    assert alive


def test_without_a_journal_it_says_so_and_begins_anew(where, open_registry):
    spoil(where.registry)
    where.journal.mkdir()
    registry = open_registry(record=lambda _: None)
    assert registry.sessions(ended=True) == []
    assert "rebuilt with 0 sessions and 0 ended ones (" in registry.mended


def test_who_only_looks_leaves_it_as_it_is(where, open_registry):
    spoil(where.registry)
    with pytest.raises(RegistryDamaged):
        open_registry(mends=False).sessions()
    assert where.registry.read_bytes().startswith(b"this was a registry")
    assert list(where.state.glob("*.damaged-*")) == []


def test_damage_that_shows_later_is_mended_later(where, open_registry):
    registry = open_registry()
    for number in range(200):
        with Store(where.registry) as store:
            store.register(
                f"s{number}", processes.identify(os.getpid()), registry.here, kind="k", labels={"x": "y" * 99}
            )
            if number:
                break
    registry.register("mine")
    registry.close()
    raw = bytearray(where.registry.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    where.registry.write_bytes(raw)
    registry.check()
    assert [entry.id for entry in registry.sessions()] == ["mine"]
    assert registry.mended


def test_the_log_of_the_damaged_one_goes_with_it(where, open_registry):
    before = open_registry()
    before.register("mine")
    before._store._connection.execute("PRAGMA wal_checkpoint(RESTART)")
    before.heartbeat("mine")  # is in the log alone, without the first page
    with open(where.registry, "r+b") as file:
        file.write(bytes(100))
    after = open_registry()
    assert [entry.id for entry in after.sessions()] == ["mine"]
    assert len(list(where.state.glob("registry.db.damaged-*-wal"))) == 1
    # Who had the old file open notices, and goes on with the new one.
    before.heartbeat("mine")
    before.end("mine")
    assert open_registry().sessions() == []
    assert before.mended == ""


def test_one_that_was_left_half_rebuilt_is_begun_anew(where, open_registry):
    open_registry().register("mine")
    spoil(where.registry)
    fresh = where.registry.with_name("registry.db.new")
    for suffix in ("", "-wal", "-shm"):
        fresh.with_name(fresh.name + suffix).write_bytes(b"half")
    assert [entry.id for entry in open_registry().sessions()] == ["mine"]
    assert list(where.state.glob("registry.db.new*")) == []


def test_nobody_exchanges_it_while_another_works_with_it(where, open_registry):
    spoil(where.registry)
    with turn(where.registry.with_suffix(".lock"), 1.0), pytest.raises(RegistryBusy, match="held by another process"):
        open_registry(patience=0.05).sessions()
    assert where.registry.read_bytes().startswith(b"this was a registry")


def test_nobody_works_with_it_while_another_exchanges_it(where, open_registry):
    open_registry().register("mine")
    with open(where.registry.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RegistryBusy, match=r"for 0\.05 s: try again"):
            open_registry(patience=0.05).heartbeat("mine")


def test_where_nothing_can_be_written_it_stays_and_is_told(where, open_registry, monkeypatch):
    spoil(where.registry)

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(RegistryUnusable, match="cannot be exchanged: No space left"):
        open_registry().sessions()
    assert where.registry.read_bytes().startswith(b"this was a registry")


FINDER = """
import sys
from pathlib import Path
from sentinel import paths
from sentinel.registry.registry import Registry
where = paths.Paths(*map(Path, sys.argv[1:4]))
sys.stdin.readline()
with Registry(where, tell=lambda _: None) as registry:
    registry.heartbeat("mine")
    print(len(registry.sessions()), bool(registry.mended))
"""


def test_of_many_who_find_the_damage_one_mends_it(where, open_registry):
    open_registry().register("mine")
    for _ in range(3):
        spoil(where.registry)
        places = map(str, (where.config, where.state, where.runtime))
        command = [sys.executable, "-c", FINDER, *places]
        finders = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        for finder in finders:
            finder.stdin.write("go\n")
            finder.stdin.flush()
        answers = [finder.communicate(timeout=60)[0].split() for finder in finders]
        assert [answer[0] for answer in answers] == ["1"] * 4
        assert [answer[1] for answer in answers].count("True") == 1
    assert told(where) == 3
    assert len(list(where.state.glob("registry.db.damaged-*"))) == 3


def test_whatever_becomes_of_the_file_nothing_is_believed_that_was_not_written(where, open_registry, sleeper):
    before, other = open_registry(), sleeper()
    for number in range(12):
        before.register(f"s{number}", pid=os.getpid() if number % 2 else other.pid, labels={"x": "y" * 300})
    known = {(entry.id, entry.root, entry.status) for entry in before.sessions(ended=True)}
    before.close()
    whole = where.registry.read_bytes()
    chance = random.Random(11)  # noqa: S311 - damage, not secrets
    mended = 0
    for _ in range(150):
        raw = bytearray(whole)
        match chance.randrange(4):
            case 0:
                raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            case 1:
                del raw[chance.randrange(len(raw)) :]
            case 2:
                at = chance.randrange(len(raw))
                raw[at : at + 64] = bytes(64)
            case 3:
                at, to = chance.randrange(len(raw)), chance.randrange(len(raw))
                raw[to : to + 200] = raw[at : at + 200]
        for suffix in ("-wal", "-shm"):
            where.registry.with_name(f"registry.db{suffix}").unlink(missing_ok=True)
        where.registry.write_bytes(raw)
        with (
            Registry(where, record=lambda _: None, tell=lambda _: None) as registry,
            contextlib.suppress(SentinelError),
        ):
            registry.check()
            entries = registry.sessions(ended=True)
            mended += bool(registry.mended)
            # A flipped bit in a text is still a text. In a number it is another process, which is not believed.
            alive = {entry.root for entry in entries if registry.standing(entry) == "alive"}
            assert alive <= {root for _, root, _ in known}
    assert mended > 20


def test_the_sentence_is_the_journals(where, open_registry):
    spoil(where.registry)
    events = []
    registry = open_registry(record=events.append)
    registry.sessions()
    (event,) = events
    assert isinstance(event, RegistryRebuilt)
    assert event.damage in registry.mended
