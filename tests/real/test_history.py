"""What can be asked afterwards: ``events`` and ``explain``, of what was ended and of what was spared."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import alive, interpreter, until
from tests.real.conftest import settled, write

pytestmark = pytest.mark.real


@pytest.fixture
def history(stage):
    """Two sessions have died, one after the other. What each left, what was spared, and when the first was through."""
    stage.agent()
    wrappers, left = {}, {}
    for name in ("api", "web"):
        script = f"""
            sleep 600 & {write(f"{name}-left")}
            nohup sleep 601 > /dev/null 2>&1 < /dev/null & {write(f"{name}-spared")}
            exec sleep 600"""
        wrappers[name] = stage.start_run(name, script)
        left[name] = settled(stage, f"{name}-left", f"{name}-spared", session=name)
        becomes(left[name][1], "sleep")  # before, it ignores no hang-up
    for name, wrapper in wrappers.items():
        stage.kill(wrapper.pid)
        stage.record("cleanup.done", name)
        until(lambda pid=left[name][0]: not alive(pid), "its end")
        left[f"after {name}"] = time.time()
        time.sleep(0.01)
    until(lambda: stage.journal("notification.sent"), "the notification")  # one of both: they died within 2 s
    return left


def events(stage, *options):
    """The records that these options select."""
    done = stage.sentinel("events", "-o", "json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def kinds(records):
    return [record["type"].removeprefix("dev.sentinel.") for record in records]


def test_the_history_is_shown_in_each_way(stage, source, history):
    everything = events(stage, "-n", "1000")
    assert [r["seq"] for r in everything] == list(range(1, len(everything) + 1))
    assert all(r["specversion"] == "1.0" and r["id"] and r["source"] and r["time"] for r in everything)
    assert events(stage, "-n", "2") == everything[-2:]
    of_api = events(stage, "--session", "api")
    assert {r["data"]["session"]["name"] for r in of_api if isinstance(r["data"]["session"], dict)} == {"api"}
    ended = ["session.died", "action.intended", "session.judged", "cleanup.done"]
    assert [kind for kind in kinds(of_api) if kind in ended] == ended
    assert events(stage, "--session", of_api[0]["data"]["session"]["id"]) == of_api
    assert kinds(events(stage, "--type", "cleanup.done")) == ["cleanup.done"] * 2
    assert set(kinds(events(stage, "--type", "session"))) <= {
        f"session.{x}" for x in ("opened", "died", "judged", "closed")
    }
    between = f"@{history['after api']:.6f}"
    assert kinds(events(stage, "--until", between, "--type", "session.died", "--session", "web")) == []
    assert kinds(events(stage, "--since", between, "--type", "session.died")) == ["session.died"]
    text = stage.sentinel("events").stdout
    assert "2026" in text or str(time.localtime().tm_year) in text
    assert "4 processes ended" in text  # two commands, and what they left
    assert ("was killed by SIGKILL" if source == "connector" else "api-") in text


def test_each_consequence_names_its_cause(stage, history):
    by_seq = {r["seq"]: r for r in events(stage, "-n", "1000")}
    for seq, record in by_seq.items():
        assert record["cause"] < seq
    for name in ("session.judged", "action.intended", "cleanup.done"):
        causes = [by_seq[r["cause"]] for r in by_seq.values() if r["type"].endswith(name)]
        assert set(kinds(causes)) == {"session.died"}, name


def test_a_cursor_goes_on_where_it_ended(stage, history):
    cursor = str(stage.home / "cursor")
    first = events(stage, "--cursor-file", cursor)
    assert events(stage, "--cursor-file", cursor) == []
    stage.sentinel("run", "--name", "later", "--", "true")
    later = until(lambda: events(stage, "--cursor-file", cursor), "the next records")
    assert later[0]["seq"] == first[-1]["seq"] + 1


def test_what_was_ended_and_what_was_spared_is_explained(stage, history):
    ended, spared = history["api"]
    told = stage.sentinel("explain", str(ended)).stdout
    assert f"pid {ended} sleep: ended" in told
    assert "api" in told
    told = json.loads(stage.sentinel("explain", str(spared), "--json").stdout)
    assert "nohup" in {objection["guard"] for objection in told["against"]}
    assert alive(spared)
    (key,) = {r["data"]["session"]["key"] for r in events(stage, "--type", "session.died", "--session", "api")}
    (session,) = {r["data"]["session"]["id"] for r in events(stage, "--type", "session.died", "--session", "api")}
    for word in (key, session, "api"):
        assert str(spared) in stage.sentinel("explain", word).stdout
    done = events(stage, "--type", "cleanup.done", "--session", "api")[0]
    told = stage.sentinel("explain", f"e{done['seq']}").stdout
    assert str(ended) in told
    assert told.index("Because") < told.index("This")
    assert stage.sentinel("explain", "4194304").returncode == 1


def test_a_removed_socket_is_explained_by_its_path(stage):
    stage.agent()
    socket = stage.home / "mine.sock"
    assert stage.run("tmux", "-S", socket, "-f", "/dev/null", "new-session", "-d", "sleep 600").returncode == 0
    pid = int(stage.run("tmux", "-S", socket, "display-message", "-p", "#{pid}").stdout)
    living = until(lambda: json.loads(stage.sentinel("explain", str(socket), "--json").stdout or "{}"), "an answer")
    assert "alive" in living["would"]
    stage.kill(pid)
    until(lambda: not os.path.lexists(socket), "its removal")
    until(lambda: stage.journal("cleanup.done"), "the word of it")
    told = stage.sentinel("explain", str(socket)).stdout
    assert "removed, kept" in told


ROTATE = """
import sys
from pathlib import Path
from sentinel.core.events import MessageRefused
from sentinel.journal import Journal
from sentinel.observe import processes
path = Path(sys.argv[1])
journal = Journal(path, processes.boot_id())
while not Path(f"{path}.1").exists():
    journal.record(MessageRefused(1, "x" * 3000))
"""
"""Another process that writes into the same journal, with the same code, until it is rotated."""


def whole(file):
    """The records that are whole in a file that is being written."""
    return [json.loads(line) for line in file.read_text().rpartition("\n")[0].splitlines()]


def deaths(file):
    """Names of the sessions whose deaths a file of records tells."""
    return [r["data"]["session"]["name"] for r in whole(file) if r["type"] == "dev.sentinel.session.died"]


def test_follow_shows_what_happens_across_a_rotation(stage):
    stage.agent()
    seen = stage.home / "seen"
    with seen.open("wb") as file:
        stage.start(*interpreter(), "events", "-f", "-n", "0", "-o", "json", "--type", "session", stdout=file)
    # Its own start takes a moment: what happened before that is not "what comes".
    until(
        lambda: stage.sentinel("run", "--name", "before", "--", "true").returncode or seen.read_text(), "a first record"
    )
    python = interpreter()[: interpreter().index("-m")]
    done = subprocess.run(
        stage.command(*python, "-c", ROTATE, stage.home / "state" / "events.jsonl"), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stage.sentinel("run", "--name", "after", "--", "true")
    until(lambda: "after" in deaths(seen), "the death being shown")
    shown = [record["seq"] for record in whole(seen)]
    assert shown == sorted(set(shown))
    assert (stage.home / "state" / "events.jsonl.1").exists()
