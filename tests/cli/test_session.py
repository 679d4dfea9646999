"""`sentinel session`: what a script types, and what it is told."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner

from sentinel.cli import screen
from sentinel.cli.session import command
from sentinel.core.facts import ProcessId
from sentinel.errors import ConfigError, NoSuchThing, SentinelError
from sentinel.history import History
from sentinel.registry.entries import Place
from sentinel.registry.errors import RegistryBusy, RegistryUnusable
from sentinel.registry.logs import path_of
from sentinel.registry.registry import Registry
from sentinel.registry.store import Store
from tests.cli.standin import StandIn

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.usefixtures("here")]


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def session(*words, fails=None):
    done = CliRunner().invoke(command, [str(word) for word in words])
    if fails is not None:
        assert isinstance(done.exception, fails), done.output
        return str(done.exception)
    assert done.exception is None, done.output
    return done.stdout


def shown(*words):
    return json.loads(session(*words, "--json"))


def test_a_script_registers_the_shell_that_runs_it(where, tmp_path):
    script = f"""
        {sys.executable} -m sentinel session register nightly --label team=blue --project shop
        sleep 60 & {sys.executable} -m sentinel session child nightly $!
        {sys.executable} -m sentinel session heartbeat nightly
        {sys.executable} -m sentinel session show nightly --json; kill $!; echo $$"""
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True)
    said, told, shell = done.stdout.splitlines()
    assert said == f"nightly is registered (pid {shell}). No agent runs: it is watched when one does."
    data = json.loads(told)
    assert (data["pid"], data["project"], data["labels"]) == (int(shell), str(tmp_path / "shop"), {"team": "blue"})
    assert (data["status"], data["standing"]) == ("active", "alive")
    assert [(child["proof"], child["alive"]) for child in data["children"]] == [("descends", True)]
    assert data["heartbeat"] > data["registered"]


def test_a_directory_that_is_not_there_is_noted_and_said(tmp_path):
    said = f"sentinel: there is no directory {tmp_path}/no\\x1b; it is noted all the same\n"
    for place, told in ((tmp_path / "no\x1b", said), (tmp_path, "")):
        done = CliRunner().invoke(command, ["register", "nightly", "--pid", str(os.getpid()), "--project", str(place)])
        assert (done.exit_code, done.stderr) == (0, told)


def test_with_an_agent_it_is_watched_at_once(where):
    with contextlib.closing(StandIn(where.inbox, lambda _: {"session": "x"})):
        assert session("register", "nightly", "--pid", os.getpid()).endswith(". It is watched.\n")


def test_each_generation_is_told(sleeper):
    session("register", "nightly", "--pid", os.getpid())
    assert "the 2nd of that id" in session("register", "nightly", "--pid", sleeper.pid)
    assert [one["generation"] for one in shown("list", "--all")] == [1, 2]


def test_the_list(sleeper):
    assert session("list") == "No session is registered.\n"
    assert session("list", "--stale") == "No registered session is stale.\n"
    session("register", "nightly", "--pid", sleeper.pid, "--kind", "cron", "--project", "/srv/shop")
    head, row = session("list").splitlines()
    assert head.split() == ["SESSION", "KIND", "PID", "CHILDREN", "AGE", "STATE", "PROJECT"]
    assert row.split() == ["nightly", "cron", str(sleeper.pid), "0", "0s", "alive", "/srv/shop"]
    session("end", "nightly", "--why", "a test")
    assert session("list") == "No session is registered.\n"
    assert session("list", "--all").splitlines()[1].split()[5] == "ended"


def test_the_list_fits_a_terminal(monkeypatch):
    session("register", "i" * 120, "--pid", os.getpid(), "--kind", "k" * 40, "--project", "/p" * 100)
    monkeypatch.setattr(screen, "width", lambda **_: 80)
    assert all(len(line) <= 80 for line in session("list").splitlines())


def test_stale_is_who_has_ended_or_is_silent_out_of_sight(where, sleeper):
    session("register", "alive", "--pid", os.getpid())
    session("register", "dead", "--pid", sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    with Store(where.registry, now=(lambda: 1000.0, lambda: 1.0)) as store:
        store.register("far", ProcessId(7, 7), Place("another", "boot"), kind="k")
    assert {one["id"]: one["standing"] for one in shown("list", "--stale")} == {"dead": "dead", "far": "stale"}
    where.config.mkdir(exist_ok=True)
    (where.config / "sentinel.toml").write_text("[registry]\nstale_after = 604800\n")
    assert {one["id"] for one in shown("list", "--stale")} == {"dead", "far"}  # it has been silent since 1970


def test_what_is_known_of_one(where, sleeper):
    session("register", "nightly", "--pid", os.getpid(), "--name", "Ä\x1b[31m", "--label", "a=b=c")
    session("child", "nightly", sleeper.pid)
    with Registry(where) as registry:
        log = path_of(registry.logs, registry.get("nightly"))
    assert "  log: " not in session("show", "nightly")
    log.parent.mkdir()
    log.touch()
    lines = session("show", "nightly").splitlines()
    assert lines[0] == "nightly (the 1st of that id): alive"
    assert {"  name: Ä\\x1b[31m", "  label a: b=c", f"  child: {sleeper.pid}", f"  log: {log}"} <= set(lines)
    sleeper.kill()
    sleeper.wait()
    session("end", "nightly", "--why", "enough")
    lines = session("show", "nightly").splitlines()
    assert f"  child: {sleeper.pid}, has ended" in lines
    assert [line for line in lines if line.startswith("  ended: ") and line.endswith(", enough")]


def test_whose_a_process_is(sleeper):
    assert "belongs to no registered session" in session("find", "--pid", sleeper.pid, fails=NoSuchThing)
    session("register", "nightly", "--pid", os.getpid())
    assert session("find", "--pid", sleeper.pid) == "nightly\n"
    assert [one["id"] for one in shown("find", "--pid", sleeper.pid)] == ["nightly"]


def test_a_child_is_taken_off_the_list(sleeper):
    session("register", "nightly", "--pid", os.getpid())
    session("child", "nightly", sleeper.pid)
    assert session("child", "nightly", sleeper.pid, "--remove") == ""
    assert shown("show", "nightly")["children"] == []
    assert "is none of nightly's children" in session("child", "nightly", sleeper.pid, "--remove", fails=NoSuchThing)


def test_a_child_that_the_agent_refuses_does_not_stay_in_the_book(where, sleeper):
    session("register", "nightly", "--pid", os.getpid())
    refusal = f"process {sleeper.pid} is a session of its own"
    for answer in ({"session": "x", "doubts": {str(sleeper.pid): refusal}}, SentinelError(refusal)):
        with contextlib.closing(StandIn(where.inbox, lambda _, answer=answer: answer)):
            assert session("child", "nightly", sleeper.pid, fails=SentinelError) == refusal
        where.inbox.unlink()
        assert shown("show", "nightly")["children"] == []


def test_an_agent_that_cannot_say_costs_no_child_that_was_there_before(where, sleeper):
    session("register", "nightly", "--pid", os.getpid())
    session("child", "nightly", sleeper.pid)
    with contextlib.closing(StandIn(where.inbox, lambda _: SentinelError("the registry is busy"))):
        assert session("child", "nightly", sleeper.pid, fails=SentinelError) == "the registry is busy"
    assert [child["pid"] for child in shown("show", "nightly")["children"]] == [sleeper.pid]


def test_what_the_agent_doubts_of_another_child_is_no_error_of_this_one(where, sleeper):
    session("register", "nightly", "--pid", os.getpid())
    answer = {"session": "x", "doubts": {"7": "process 7 is a session of its own"}}
    with contextlib.closing(StandIn(where.inbox, lambda _: answer)):
        assert session("child", "nightly", sleeper.pid) == ""
        assert session("child", "nightly", sleeper.pid, "--remove") == ""
    assert shown("show", "nightly")["children"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["heartbeat", "nobody"], 'no active session is registered as "nobody"'),
        (["end", "nobody"], 'no active session is registered as "nobody"'),
        (["child", "nobody", "2"], 'no active session is registered as "nobody"'),
        (["show", "nobody"], "no session is registered as nobody"),
        (["register", "--pid", os.getpid(), "two\nlines"], "printable"),
        (["register", "--pid", os.getpid(), "x" * 121], "1 to 120 characters"),
        (["register", "--pid", os.getpid(), ""], "1 to 120 characters"),
        (["register", "--pid", os.getpid(), "x", "--name", "n" * 201], "1 to 200 characters"),
        (["register", "--pid", os.getpid(), "x", "--label", "a=" + "b" * 5000], "4096 characters at most"),
        (["register", "x", "--pid", "4194305"], "there is no process 4194305"),
    ],
)
def test_what_cannot_be_is_one_sentence(where, words, sentence):
    told = session(*words, fails=SentinelError)
    assert sentence in told
    assert "\n" not in told


def test_who_has_lost_its_parent_has_to_say_whose_session_it_is(where, monkeypatch):
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert session("register", "x", fails=SentinelError) == (
        "process 1 is nobody's: those fall to it that have lost their parent"
    )


@pytest.mark.parametrize(
    "words", [["register", "x", "--label", "nothing"], ["child", "x", "1"], ["find"], ["child", "x", "me"]]
)
def test_what_is_mistyped_is_refused_before_anything_is_written(where, words):
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert not where.registry.exists()


def test_a_label_with_hostile_bytes_is_stored_as_text(where):
    session("register", "nightly", "--pid", os.getpid(), "--label", "a\udcff=\udcfe", "--name", "n\udcff")
    assert shown("show", "nightly")["labels"] == {"a\ufffd": "\ufffd"}


def test_a_registry_that_somebody_keeps_is_told_after_the_wait(where, monkeypatch):
    session("register", "nightly", "--pid", os.getpid())
    monkeypatch.setattr(Registry.__init__, "__kwdefaults__", {**Registry.__init__.__kwdefaults__, "patience": 0.05})
    with contextlib.closing(sqlite3.connect(where.registry, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert "try again" in session("heartbeat", "nightly", fails=RegistryBusy)
        assert session("list")  # who only reads does not wait
        holder.execute("ROLLBACK")
    assert RegistryBusy.exit_code == 75


def test_one_that_cannot_be_opened_is_told(where):
    where.registry.mkdir()
    session("list", fails=RegistryUnusable)
    assert RegistryUnusable.exit_code == 74


def test_a_damaged_registry_is_mended_and_said(where):
    session("register", "nightly", "--pid", os.getpid())
    for suffix in ("", "-wal", "-shm"):
        where.registry.with_name(f"registry.db{suffix}").unlink(missing_ok=True)
    where.registry.write_bytes(b"{ this was JSON once" * 99)
    done = CliRunner().invoke(command, ["list", "--json"])
    assert [one["id"] for one in json.loads(done.stdout)] == ["nightly"]
    assert done.exit_code == 0
    assert done.stderr.startswith("sentinel: the registry was damaged, set aside as ")
    assert done.stderr.count("\n") == 1
    assert "registry.rebuilt" in [
        entry.record["type"].removeprefix("dev.sentinel.") for entry in History(where.journal).read()
    ]


def test_a_wrong_configuration_is_told_after_the_end_was_written(where):
    session("register", "nightly", "--pid", os.getpid())
    where.config.mkdir(exist_ok=True)
    (where.config / "sentinel.toml").write_text("[registry]\nkeep_ended = -1\n")
    session("end", "nightly", fails=ConfigError)
    (where.config / "sentinel.toml").unlink()
    assert [one["status"] for one in shown("list", "--all")] == ["ended"]


def test_who_is_over_for_long_is_forgotten_at_the_next_end(where):
    for name in ("old", "new"):
        session("register", name, "--pid", os.getpid())
    session("end", "old")
    with contextlib.closing(sqlite3.connect(where.registry)) as store, store:
        store.execute("UPDATE sessions SET ended = ended - 25 * 3600 WHERE id = 'old'")
    session("end", "new")
    assert [one["id"] for one in shown("list", "--all")] == ["new"]
