"""A registry and a spool that were spoilt in the ways in which such things are, and whole ones."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from types import SimpleNamespace

import pytest

from sentinel import hook, instance
from sentinel.doctor import of_state
from sentinel.doctor.check import CouldNotCheck
from sentinel.registry import schema
from sentinel.registry.rebuild import turn
from sentinel.registry.store import Store
from tests.lab.stage import as_user, interpreter
from tests.registry.test_store import begin


@pytest.fixture
def patient(where):
    return SimpleNamespace(where=where)


@pytest.fixture
def path(where):
    """A registry that is well."""
    with Store(where.registry) as store:
        begin(store)
    return where.registry


def found(check, patient):
    return [(trouble.what, trouble.hint) for trouble in check(patient)]


def change(path, statement):
    other = sqlite3.connect(path)
    other.execute(statement)
    other.commit()
    other.close()


def test_a_registry_that_is_well_or_not_there_is_no_finding_and_nothing_is_made(patient, path):
    names = {*os.listdir(path.parent), "registry.lock"}
    before = path.read_bytes()
    assert found(of_state.registry, patient) == []
    assert (set(os.listdir(path.parent)) - {"registry.db-wal", "registry.db-shm"}, path.read_bytes()) == (names, before)
    path.unlink()
    assert found(of_state.registry, patient) == []
    assert not path.exists()


def test_one_that_others_have_open_is_well(patient, path):
    with Store(path) as store:
        begin(store, "s2")
        assert found(of_state.registry, patient) == []


def test_one_of_an_older_form_is_well_and_stays_as_it_is(patient, path, monkeypatch):
    path.unlink()
    monkeypatch.setattr(schema, "_STEPS", schema._STEPS[:1])
    monkeypatch.setattr(schema, "VERSION", 1)
    Store(path).close()
    monkeypatch.undo()
    assert schema.VERSION > 1
    assert found(of_state.registry, patient) == []
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("damage", ["text", "row"])
def test_a_damaged_one_is_told_with_what_mends_it(patient, path, damage):
    if damage == "text":
        path.write_bytes(b"no database, but long enough for a header" * 100)
    else:
        change(path, "UPDATE sessions SET heartbeat = 'now'")
    ((what, hint),) = found(of_state.registry, patient)
    assert (what, hint.rpartition(": ")[2]) == ("the registry is damaged", "sentinel session list")


def test_one_of_a_later_sentinel_is_told(patient, path):
    change(path, f"PRAGMA user_version = {schema.VERSION + 1}")
    assert found(of_state.registry, patient) == [("a later Sentinel has written the registry", "upgrade Sentinel")]


@pytest.mark.parametrize("what", ["directory", "link"])
def test_what_is_no_file_is_told(patient, where, what):
    where.registry.mkdir() if what == "directory" else where.registry.symlink_to("/dev/null")
    assert found(of_state.registry, patient) == [
        ("the registry cannot be read", f"move {where.registry} away: another is made when a session registers")
    ]


@pytest.mark.parametrize(("mode", "what"), [(0o000, "read"), (0o400, "written")])
def test_one_that_its_user_may_not_read_or_write_is_told(mode, what):
    script = f"""
import os, pathlib, tempfile, types
from sentinel.doctor import of_state
from sentinel.registry.store import Store
state = pathlib.Path(tempfile.mkdtemp(prefix="sentinel-"))
path = state / "registry.db"
Store(path).close()
path.chmod({mode})
patient = types.SimpleNamespace(where=types.SimpleNamespace(registry=path))
print(*(f"{{it.what}}|{{it.hint == f'chmod u+rw {{path}}'}}" for it in of_state.registry(patient)))
path.unlink(); (state / "registry.lock").unlink()
[it.unlink() for it in state.iterdir()]; state.rmdir()
"""
    python = as_user(*interpreter()[: -len(("-m", "sentinel"))], "-c", script)
    done = subprocess.run(python, cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"the registry cannot be {what}|True", done.stderr


def test_one_that_is_exchanged_just_now_is_no_answer(patient, path):
    with turn(path.with_suffix(".lock"), 1.0, alone=True), pytest.raises(CouldNotCheck, match="another process"):
        found(of_state.registry, patient)


# -- marks of runs ---------------------------------------------------------------------


def test_a_mark_that_cannot_be_read_is_told_while_its_process_may_be_that_run(patient, where):
    place = where.runtime / "runs"
    place.mkdir(parents=True)
    assert found(of_state.runs, patient) == []
    mark = place / f"{os.getpid()}.json"
    (place / f"1.json.{os.getpid()}.new").touch()  # it is being written
    mark.touch()
    ((what, hint),) = found(of_state.runs, patient)
    assert what == f"the mark {mark} of a `sentinel run` cannot be read"
    assert hint == f"if process {os.getpid()} is no `sentinel run`: rm {mark}"
    mark.unlink()
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = place / f"{ended.pid}.json"
    left.mkdir()
    assert [hint for _, hint in found(of_state.runs, patient)] == [f"rm -r {left}"]


# -- the spool -------------------------------------------------------------------------


def leave(spool, number=1, age=0.0):
    for nth in range(number):
        (spool / f"{time.time_ns() - int(age * 1e9) + nth:020d}-7.json").write_text("{}")


@pytest.fixture
def spool(where):
    where.spool.mkdir(mode=0o700)
    return where.spool


def test_a_spool_that_is_well_is_no_finding(patient, where, spool):
    leave(spool, 3, age=60)
    assert found(of_state.spool, patient) == []
    (spool / f".{time.time_ns():020d}-9.json").touch()  # a hook that writes just now
    leave(spool)
    for call in sorted(spool.glob("[0-9]*"))[:3]:
        call.unlink()
    with instance.claim(where):
        assert found(of_state.spool, patient) == []


def test_one_that_is_not_there_is_missed_by_an_agent_only(patient, where):
    assert found(of_state.spool, patient) == []
    with instance.claim(where):
        assert found(of_state.spool, patient) == [
            ("the spool of the hooks is gone", "end the agent, then: sentinel agent")
        ]


@pytest.mark.parametrize("mode", [0o755, 0o500])
def test_one_into_which_hooks_leave_nothing_is_told_and_they_do_leave_nothing(patient, spool, mode):
    spool.chmod(mode)
    ((what, hint),) = found(of_state.spool, patient)
    assert (what, hint) == ("hooks cannot leave anything in their spool", f"chmod 700 {spool}")
    if mode & 0o077:
        before = os.umask(0)
        hook._leave(str(spool), "x.json", b"{}")
        os.umask(before)  # a hook has a process, and so a umask, of its own
        assert os.listdir(spool) == []


def test_what_is_no_directory_is_told(patient, where):
    where.spool.touch()
    ((_, hint),) = found(of_state.spool, patient)
    assert hint == f"move {where.spool} away: another is made"


def test_files_that_came_from_no_hook_are_told(patient, spool):
    (spool / "zzz.json").touch()
    (trouble,) = of_state.spool(patient)
    assert trouble.what == "the spool of the hooks holds what nobody reads"
    assert trouble.evidence[0] == f"1 file in {spool} came from no hook: zzz.json"
    (spool / "yyy.json").touch()
    (trouble,) = of_state.spool(patient)
    assert trouble.evidence[0] == f"2 files in {spool} came from no hook: yyy.json, ..."


def test_calls_that_a_running_agent_does_not_read_are_told(patient, where, spool):
    leave(spool, 2, age=60)
    with instance.claim(where):
        (trouble,) = of_state.spool(patient)
    assert trouble.what == "the agent does not read what hooks have left"
    assert "2 calls in" in trouble.evidence[0]


def test_a_full_one_is_told_before_calls_are_lost_unseen(patient, spool):
    leave(spool, hook.ROOM - 1)
    assert found(of_state.spool, patient) == []
    leave(spool)
    assert found(of_state.spool, patient) == [("the spool of the hooks is full", "start the agent: sentinel agent")]
