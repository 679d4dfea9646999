"""What a command does itself when no agent is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest

from sentinel import runs
from sentinel.cli import alone
from sentinel.errors import NoSuchThing
from sentinel.observe import processes
from tests.handlers.room import Room, becomes, dead, end_everything, make_program, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def room(where):
    it = Room(where)
    yield it
    it.close()
    end_everything()


@pytest.fixture
def wrapper(room):
    """Stands in for `sentinel run`: what is left hangs under it."""
    wrapper = room.start()
    assert wrapper.do("__import__('ctypes').CDLL(None).prctl(36, 1, 0, 0, 0)") == 0
    return wrapper


def clean_up(room, wrapper, command, status=9):
    mark = runs.Mark(processes.boot_id(), wrapper.pid, wrapper.who.start, "ma\x1bke", "/", command.pid)
    alone.clean_up(room.where, mark, command, status)


def test_what_hangs_under_the_wrapper_is_ended_and_said(room, wrapper, capsys):
    command, fallen = wrapper.bear_through()
    who = processes.identify(command)
    wrapper.do(f"os.waitpid({command}, 0)[0]")
    child, grandchild = wrapper.bear_through(between="time.sleep(60)")
    clean_up(room, wrapper, who)
    assert all(dead(pid) for pid in (fallen, child, grandchild))
    assert wrapper.poll() is None
    assert capsys.readouterr().err == 'sentinel: "ma\\x1bke" was killed by SIGKILL: 3 processes ended.\n'


def test_a_daemon_is_spared(room, wrapper, capsys):
    who = processes.identify(wrapper.do("bear('pass')"))
    wrapper.do(f"os.waitpid({who.pid}, 0)[0]")
    daemon = wrapper.do("letting_go()")
    clean_up(room, wrapper, who)
    assert not dead(daemon)
    assert capsys.readouterr().err == ""


def test_a_session_inside_that_lives_is_spared_with_what_may_be_its_own(room, wrapper, tmp_path):
    who = processes.identify(wrapper.do("bear('pass')"))
    wrapper.do(f"os.waitpid({who.pid}, 0)[0]")
    claude = make_program(tmp_path, "claude")
    execs = f"os.execv({claude!r}, [{claude!r}])"
    inner = wrapper.do(f"bear({execs!r})")
    becomes(inner, "claude")
    lost = wrapper.do("bear()")
    clean_up(room, wrapper, who)
    assert not dead(inner)
    assert not dead(lost)


def test_a_run_inside_that_lives_is_spared_with_its_command(room, wrapper):
    who = processes.identify(wrapper.do("bear('pass')"))
    wrapper.do(f"os.waitpid({who.pid}, 0)[0]")
    inner, command = wrapper.bear_through(between="time.sleep(60)")
    start = processes.identify(inner).start
    runs.write(room.where.runtime, runs.Mark(processes.boot_id(), inner, start, "inner", "/", command))
    clean_up(room, wrapper, who)
    assert not dead(inner)
    assert not dead(command)


def test_what_may_have_fallen_to_another_subreaper_is_spared_while_a_session_lives_under_it(room, wrapper, tmp_path):
    """It may be the work of that session. A run that is about to end, without its mark, is such a subreaper."""
    who = processes.identify(wrapper.do("bear('pass')"))
    wrapper.do(f"os.waitpid({who.pid}, 0)[0]")
    claude = make_program(tmp_path, "claude")
    execs = f"os.execv({claude!r}, [{claude!r}])"
    place = tmp_path / "born"
    script = [
        f"births = bear({execs!r}), bear('os.setsid(); time.sleep(60)')",
        f"open({str(place)!r}, 'w').write('%d %d' % births)",
        "time.sleep(60)",
    ]
    wrapper.do(f"bear({'; '.join(script)!r})")
    agent, fallen = map(int, until(lambda: place.exists() and place.read_text().split(), "the births"))
    becomes(agent, "claude")
    clean_up(room, wrapper, who)
    assert not any(dead(pid) for pid in (agent, fallen))


def test_when_the_journal_cannot_be_written_nothing_is_ended(room, wrapper, capsys):
    who = processes.identify(wrapper.do("bear('pass')"))
    wrapper.do(f"os.waitpid({who.pid}, 0)[0]")
    child = wrapper.do("bear()")
    room.where.journal.unlink()
    room.where.journal.mkdir()
    clean_up(room, wrapper, who)
    assert not dead(child)
    assert "1 could not be cleaned" in capsys.readouterr().err


def test_a_look_of_ones_own_finds_who_hangs_under_a_living_agent(room, tmp_path):
    agent = room.start(make_program(tmp_path, "claude"))
    child = agent.do("bear(\"os.execv('/bin/sleep', ['sleep', '60'])\")")
    becomes(child, "sleep")
    told = alone.explain(room.where, str(child))
    assert told["alone"] is True
    assert told["would"] == f"leave it alone: its session claude (pid {agent.pid}) is alive"
    assert alone.explain(room.where, "claude")["pid"] == agent.pid
    os.kill(child, signal.SIGKILL)
    with pytest.raises(NoSuchThing):
        alone.explain(room.where, "codex")


def test_a_look_writes_nothing_down(room, tmp_path):
    before = room.where.journal.read_bytes()
    agent = room.start(make_program(tmp_path, "claude"))
    agent.do("1")
    alone.explain(room.where, "claude")
    assert room.where.journal.read_bytes() == before


def test_what_tmux_calls_so_is_asked_of_the_servers_that_are_there(where, tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("missing: tmux")
    words = ["tmux", "-S", str(tmp_path / "s"), "-f", "/dev/null", "new-session", "-d", "-s", "work", "sleep 600"]
    subprocess.run(words, check=True, timeout=30)
    assert alone.explain(where, "work")["what"] == 'session "work" ($0) in tmux server "s"'
    until(lambda: [pane["name"] for pane in alone.explain(where, "work")["panes"]] == ["%0"])
    end_everything()
    with pytest.raises(NoSuchThing, match="no living session is called work"):
        alone.explain(where, "work")
