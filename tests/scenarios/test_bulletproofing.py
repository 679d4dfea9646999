"""The testing plan of a team whose dev script had to work every single time, by its own names.

Five scenarios that were tried by hand, and two tests that ran by themselves: with the verbs
of Sentinel in the place of their script.
"""

from __future__ import annotations

import shlex

import pytest

from tests.handlers.room import becomes
from tests.lab.project import Project
from tests.lab.stage import alive, until
from tests.real.conftest import terminal

__all__ = ["terminal"]

pytestmark = [pytest.mark.real, pytest.mark.aside]


@pytest.fixture
def project(stage):
    return Project(stage)


def by_itself(project, terminal, *words):
    """Without a terminal, in a session of its own, with nothing to read from."""
    process = project.stage.start(*project.command(*words))
    assert process.wait(60) == 0


def at_a_terminal(project, terminal, *words):
    window = terminal(*project.command(*words))
    try:
        until(lambda: (window.screen(), window.process.poll() is not None)[1], f"the end of {words}", 60)
        assert window.process.returncode == 0, window.screen()
    finally:
        window.close()


def inside_tmux(project, terminal, *words):
    status = project.stage.home / f"status-of-{words[0]}"
    status.unlink(missing_ok=True)
    line = f"{shlex.join(project.command(*words))}; echo $? > {status}.new; mv {status}.new {status}"
    begin = "tmux", "-L", "desk", "new-session", "-d", "sh", "-c", line
    # The server of the words before may be about to end: it takes a client, and exits.
    until(lambda: project.stage.run(*begin).returncode == 0, "a session for it")
    assert until(lambda: status.exists() and status.read_text(), f"the end of {words}", 60) == "0\n"


in_each_way = pytest.mark.parametrize("say", [by_itself, at_a_terminal, inside_tmux], ids=lambda way: way.__name__)


@in_each_way
def test_scenario_1_normal_operation(project, terminal, say):
    say(project, terminal, "start")
    assert project.state() == "healthy"
    before = project.manager()
    say(project, terminal, "restart")
    assert project.state() == "healthy"
    assert project.manager() != before
    say(project, terminal, "stop")
    assert project.state() == "stopped"
    project.nothing_left()


@in_each_way
def test_scenario_2_terminal_force_close(project, terminal, say):
    window = terminal("bash", "--norc", "-i")
    window.type(f"cd {project.home}; PATH={project.path}; overmind start -p {project.ports[0]}\n")
    until(lambda: project.state() == "healthy", "Overmind at the terminal")
    held = [project.manager(), *(pid for pids in project.listening().values() for pid in pids)]
    orphan = project.zombie()  # of a terminal that was closed before
    window.close()
    until(lambda: not any(map(alive, held)), "the end of what ran in it")
    shown = project.sentinel("status", ".")
    assert shown.returncode == 1
    assert "whose Overmind has ended" in shown.stdout
    assert "sentinel stop" in shown.stdout
    say(project, terminal, "stop")
    project.nothing_left()
    assert not alive(orphan)
    say(project, terminal, "start")
    assert project.state() == "healthy"


def test_scenario_2_what_was_started_outlives_the_terminal_and_is_stopped_from_another(project, terminal):
    window = terminal("bash", "--norc", "-i")
    window.type(f"{shlex.join(project.command('start'))}\n")
    window.shows("shop runs")
    window.close()
    until(lambda: not alive(window.pid), "the shell's end")
    assert project.state() == "healthy"
    project.right("stop", "--level", "aggressive")
    project.nothing_left()


@in_each_way
def test_scenario_3_system_crash_simulation(project, terminal, say):
    say(project, terminal, "start")
    manager, server = project.manager(), project.server()
    project.socket.unlink()
    project.kill(server)
    until(lambda: not alive(manager), "Overmind's end")
    orphan = project.orphan(project.ports[0])  # what outlived its tmux server
    shown = project.sentinel("status", ".")
    assert shown.returncode == 1
    assert "PARTIAL" in shown.stdout
    say(project, terminal, "restart")
    assert not alive(orphan)
    assert project.state() == "healthy"


@in_each_way
def test_scenario_4_multiple_zombie_sessions(project, terminal, say):
    zombies = [project.zombie(number) for number in range(4)]
    project.stale_socket()
    shown = project.sentinel("status", ".").stdout
    assert "4 tmux servers whose Overmind has ended" in shown
    assert all(f"overmind-shop-{number:021d}" in shown for number in range(4))
    assert "a stale socket" in shown
    say(project, terminal, "stop")
    assert not any(map(alive, zombies))
    project.nothing_left()
    say(project, terminal, "start")
    assert project.state() == "healthy"


def nuke_by_itself(project, terminal):
    """Nobody is there to be asked."""
    return project.right("nuke", "--yes")


def nuke_at_a_terminal(project, terminal):
    window = terminal(*project.command("nuke"))
    window.shows("End all of these?")
    assert project.state() == "healthy"
    window.type("y\n")
    until(lambda: (window.screen(), window.process.poll() is not None)[1], "its end", 60)
    assert window.process.returncode == 0, window.screen()
    seen = window.screen()
    window.close()
    return seen


def nuke_inside_tmux(project, terminal):
    """Its own pane stays, with the server around it; the window beside it goes like all others."""
    desk = ("tmux", "-L", "desk")
    status, beside = project.stage.home / "status", project.stage.home / "beside"
    line = f"{shlex.join(project.command('nuke'))}; echo $? > {status}.new; mv {status}.new {status}; exec sleep 1000"
    first = f"echo $$ > {beside}; exec sleep 1000"
    assert project.stage.run(*desk, "new-session", "-d", "-x", "200", "-y", "60", first).returncode == 0
    other = project.stage.pid("beside")
    assert project.stage.run(*desk, "new-window", "-d", line).returncode == 0
    place = project.stage.run(*desk, "list-panes", "-F", "#{pid} #{pane_pid}", "-t", ":1").stdout.split()

    def shown():
        return project.stage.run(*desk, "capture-pane", "-p", "-S", "-", "-t", ":1").stdout

    until(lambda: "End all of these?" in shown(), "the question")
    assert project.state() == "healthy"
    project.stage.run(*desk, "send-keys", "-t", ":1", "y", "Enter")
    assert until(lambda: status.exists() and status.read_text(), "its end", 60) == "0\n", shown()
    seen = shown()
    assert all(alive(int(pid)) for pid in place), seen
    assert not alive(other), seen
    assert "this command runs under it" in seen
    return seen


@pytest.mark.parametrize("nuke", [nuke_by_itself, nuke_at_a_terminal, nuke_inside_tmux])
def test_scenario_5_nuclear_option(project, terminal, nuke):
    project.right("start")
    manager, zombie = project.manager(), project.zombie()
    notes = project.stage.run(
        "tmux", "-L", "notes", "new-session", "-d", "-P", "-F", "#{pid} #{pane_pid}", "-s", "notes", "sleep 1000"
    ).stdout.split()
    editor = project.stage.start("bash", "-c", f"cd {project.home}; exec -a editor sleep 1000")
    stays = project.stage.start("env", "SENTINEL_KEEP=1", "sleep", "1000")
    for bystander in (editor, stays):
        becomes(bystander.pid, "sleep")
    assert alive(int(notes[1]))
    seen = nuke(project, terminal)
    assert "tmux session notes" in seen
    assert "of project shop" in seen
    assert not any(map(alive, [manager, zombie, *map(int, notes)])), seen
    assert alive(editor.pid)
    assert alive(stays.pid)
    shown = project.sentinel("status", ".")
    assert (shown.returncode, "STOPPED" in shown.stdout) == (3, True), shown.stdout
    assert "left over" not in shown.stdout
    project.right("start")
    assert project.state() == "healthy"


@in_each_way
def test_automated_test_1_clean_start_and_stop(project, terminal, say):
    say(project, terminal, "start")
    say(project, terminal, "stop")
    assert "STOPPED" in project.sentinel("status", ".").stdout


@in_each_way
def test_automated_test_2_stale_socket_handling(project, terminal, say):
    project.right("start")
    project.socket.rename(f"{project.socket}.old")
    project.stage.file("shop/.overmind.sock")
    say(project, terminal, "restart")
    assert "HEALTHY" in project.sentinel("status", ".").stdout
    say(project, terminal, "stop", "--level", "aggressive")
