"""Bad days: nowhere to write, wrong wishes, names that bite."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from sentinel.core.sanitise import clean
from sentinel.observe import processes
from tests.lab.stage import alive, interpreter, lab_user, until
from tests.real.conftest import owned, settled, write

pytestmark = pytest.mark.real


def with_child(stage, name):
    """``sentinel run`` with one background child; the wrapper and the child's pid."""
    wrapper = stage.start_run(name, f"exec -a {name} sleep 600 & {write(f'{name}-child')}; exec sleep 600")
    return wrapper, *settled(stage, f"{name}-child", session=name)


@pytest.fixture
def tiny_disk(stage):
    """A disk of 64 KiB, on which the state directory is."""
    uid, gid = lab_user()
    state = stage.home / "state"
    state.mkdir()
    options = f"size=64k,mode=0700,uid={uid},gid={gid}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", state], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("missing: a second file system (mount is refused)")
    yield state
    subprocess.run(["umount", "--lazy", state], check=True)


def troubled(stage):
    return "Trouble" in stage.sentinel("status").stdout


def no_signal_without_an_intent(stage, wrapper, child):
    """The session dies, the trouble is told, and nothing else happens."""
    stage.kill(wrapper.pid)
    until(lambda: troubled(stage), "the agent saying so")
    told = json.loads(stage.sentinel("explain", str(child), "--json").stdout)
    assert "owned by" in " ".join(told["evidence"])
    assert alive(child)


def test_on_a_full_disk_nothing_is_ended_and_once_there_is_room_all_goes_on(stage, tiny_disk):
    agent = stage.agent()
    wrapper, child = with_child(stage, "api")
    filler = tiny_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    # The last page of the journal itself still has room.
    until(lambda: stage.sentinel("run", "--", "true").returncode or troubled(stage), "the disk being full to the brim")
    no_signal_without_an_intent(stage, wrapper, child)
    assert "No space left" in stage.sentinel("status").stdout
    assert agent.poll() is None
    filler.unlink()
    wrapper, other = with_child(stage, "again")
    stage.kill(wrapper.pid)
    until(lambda: not alive(other), "its end, now that it can be recorded")
    # What could not be written was kept: the history has no gap, and the refusal is in it.
    records = stage.journal()
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    refused = stage.record("cleanup.done", "api")["data"]["outcomes"]
    assert "cannot be recorded" in next(o["reason"] for o in refused if o["target"].startswith(f"{child}@"))
    assert not troubled(stage)
    assert alive(child)


def test_where_there_is_no_place_for_the_state_it_watches_and_says_so(stage):
    locked = stage.home / "locked"
    locked.mkdir(mode=0o555)
    stage.environ["SENTINEL_STATE_DIR"] = str(locked / "state")
    agent = stage.agent()
    wrapper, child = with_child(stage, "api")
    no_signal_without_an_intent(stage, wrapper, child)
    assert agent.poll() is None
    assert stage.sentinel("sessions").returncode == 0
    assert "cannot be written" in stage.sentinel("status").stdout


HOSTILE = b"a\n\x1b[31m\xff\xe2\x80\xae"
"""A file's name, and so what the kernel calls who runs it: a line's end, a colour, no UTF-8, a bidi override."""


def test_hostile_names_break_neither_journal_nor_screen(stage):
    program = os.path.join(os.fsencode(stage.file("bin/empty").parent), HOSTILE)
    shutil.copy2("/usr/bin/sleep", program)
    shutil.copymode("/usr/bin/sleep", program)
    home = stage.file("ho\nme\x1b[2J/empty").parent
    stage.agent()
    bystander = stage.start(os.fsdecode(program), "600")
    # What a name is shown as is what it goes by.
    name = "x\n\x1b]0;evil\x07\u202e"
    script = f'"$0" 600 & {write("../child")}; exec sleep 600'
    wrapper = stage.start(
        *("env", "-C", os.fsdecode(home), *interpreter(), "run", "--name", name),
        *("--", "bash", "-c", script, os.fsdecode(program)),
    )
    child = stage.pid("child")
    until(lambda: processes.comm(child) not in {"", "bash"}, "its name")
    owned(stage, child)
    screens = [shown(stage, "sessions"), shown(stage, "explain", str(child)), shown(stage, "explain", clean(name))]
    stage.kill(wrapper.pid)
    until(lambda: not alive(child), "its end")
    done = until(lambda: stage.journal("cleanup.done"), "the word of it")[0]
    assert alive(bystander.pid)
    outcome = next(o for o in done["data"]["outcomes"] if o["target"].startswith(f"{child}@"))
    assert outcome["name"].startswith("a\\x0a\\x1b[31m\\xff")
    screens += [shown(stage, "events"), shown(stage, "explain", str(child)), shown(stage, "explain", f"e{done['seq']}")]
    for screen in screens:
        assert screen
        assert not {character for character in screen.replace("\n", "") if not character.isprintable()}
    raw = (stage.home / "state" / "events.jsonl").read_text(encoding="utf-8").rpartition("\n")[0]
    assert all(json.loads(line)["seq"] for line in raw.splitlines())
    assert not {character for character in raw.replace("\n", "") if not character.isprintable()}


def shown(stage, *words):
    """What a verb shows on the screen."""
    done = subprocess.run(stage.command(*interpreter(), *words), capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    return done.stdout.decode("utf-8")


def test_an_agent_whose_runtime_directory_is_removed_takes_it_up_again(stage):
    agent = stage.agent()
    # In one step: while its files are removed one by one, the agent makes them anew.
    (stage.home / "runtime").rename(stage.home / "gone")
    until(lambda: stage.sentinel("status").returncode == 0, "the agent being reached again")
    second = stage.sentinel("agent")
    assert (second.returncode, f"PID {agent.pid}" in second.stdout + second.stderr) == (0, True)
    wrapper, child = with_child(stage, "api")
    stage.kill(wrapper.pid)
    stage.record("cleanup.done", "api")
    until(lambda: not alive(child), "its end")
