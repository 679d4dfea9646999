"""`sentinel doctor` on a machine with real things wrong, and with things that only look wrong."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest

from sentinel.observe.ports import ports_of
from tests.lab.stage import alive, lab_user, until
from tests.real.test_clean import FOR_EVER, Wreck, ended, on_stage

pytestmark = pytest.mark.real

QUIET = "[notify]\nenabled = false\n"


@pytest.fixture
def quiet(stage):
    """A stage that wants no notifications: there is no desktop to show them."""
    text = (stage.config / "sentinel.toml").read_text() if (stage.config / "sentinel.toml").exists() else ""
    stage.configure(text + QUIET)
    return stage


class Doctor:
    def __init__(self, stage):
        self.stage = stage

    def __call__(self, *words, **environ):
        done = self.stage.sentinel("doctor", *words, **environ)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def checks(self, *words, **environ):
        done = self("--json", *words, **environ)
        return {check["check"]: check for check in json.loads(done.stdout)["checks"]}

    def found(self, check, **environ):
        return [trouble["what"] for trouble in self.checks(**environ)[check]["found"]]


@pytest.fixture
def doctor(quiet):
    return Doctor(quiet)


@pytest.fixture
def tmux(stage):
    """Starts servers, each on a socket of its own; returns their pids."""

    def start(name, session="work", directory=None):
        words = ["tmux", "-S", stage.home / f"{name}.sock", "-f", "/dev/null"]
        made = stage.run(*words, "new-session", "-d", "-s", session, "-c", str(directory or stage.home), FOR_EVER)
        assert made.returncode == 0, made.stderr
        return int(stage.run(*words, "display-message", "-p", "#{pid}").stdout)

    return start


def test_where_all_is_well_it_says_so(doctor, stage, source, tmux):
    tmux("mine")
    stage.agent()
    done = doctor()
    checks = doctor.checks()
    only_samples = {"agent"} if source == "polling" else set()  # that is worth knowing, and it says so
    assert {name for name, check in checks.items() if check["status"] != "well"} == only_samples, done.stdout
    assert done.returncode == len(only_samples)


def test_without_an_agent_it_works_and_says_so(doctor):
    done = doctor()
    assert done.returncode == 1
    assert "no agent runs" in done.stdout
    assert "--fix" not in done.stdout
    asked = doctor("--fix")
    assert asked.returncode == 1
    assert asked.stdout.endswith("Nothing of it can be done by --fix: what you can do is said there.\n")


def test_what_was_left_behind_is_found_with_its_port_and_ended_on_a_yes(doctor, stage):
    wreck = Wreck(stage)
    serve = "exec python3 -m http.server 0 --bind 127.0.0.1"
    (server,) = wreck.left_by_an_agent("server", script=serve, program="python3")
    (other,) = wreck.left_by_an_agent("other", marks="true")
    (port,) = until(lambda: (ports_of([server]) or {}).get(server), "its port")
    assert doctor.found("processes") == [f"python3 (pid {server}) was left behind [strong]"]
    assert doctor.found("ports") == [f"port {port} is held by python3 (pid {server})"]
    unsure = doctor("--fix")
    assert unsure.returncode == 1
    assert "--fix" not in unsure.stdout  # who says it is not told to say it
    assert f"1. end process {server} (python3)" in unsure.stdout
    assert "2." not in unsure.stdout
    assert "nobody is here to ask" in unsure.stderr
    assert alive(server)
    done = doctor("--fix", "--yes")
    assert "1 thing: 1 ended." in done.stdout
    ended(server)
    assert alive(other)
    assert doctor.found("processes") == []


def test_it_is_not_mended_while_paused(doctor, stage):
    (lost,) = Wreck(stage).left_by_an_agent("lost")
    assert stage.sentinel("pause").returncode == 0
    assert "nothing is ended" in doctor("--fix", "--yes").stderr
    assert alive(lost)


def test_a_configuration_that_cannot_be_used_is_a_finding_and_nothing_is_mended_by_the_defaults(doctor, stage):
    (lost,) = Wreck(stage).left_by_an_agent("lost")
    stage.configure('mode = "act"\n\nmodus = 1\n')
    done = doctor("--fix", "--yes")
    assert "  !! the configuration cannot be used\n" in done.stdout
    assert f"{stage.config}/sentinel.toml:3: " in done.stdout
    assert f"(pid {lost}) was left behind" in done.stdout
    assert "nothing is ended: the configuration cannot be used" in done.stderr
    assert done.returncode in {1, 2}
    assert alive(lost)
    stage.configure(QUIET)
    assert doctor.found("configuration") == []


def test_an_agent_that_lost_its_terminal_is_found(doctor, stage, terminal):
    claude = stage.file(
        "bin/claude",
        "#!/usr/bin/python3\nimport signal, time\n"
        "signal.signal(signal.SIGHUP, lambda *_: None)\nopen('claude.pid', 'w').write(str(__import__('os').getpid()))\n"
        "time.sleep(1000)\n",
        0o755,
    )
    screen = terminal(*on_stage(stage, "bash", "-c", f"TMUX=/nowhere/default,$$,0 {claude} & wait"))
    agent = stage.pid("claude.pid")
    stage.kill(screen.pid)
    screen.process.wait()
    screen.close()
    (what,) = until(lambda: doctor.found("agents"), "its being found")
    assert what == f"claude (pid {agent}) was left behind [strong]"
    assert doctor("--fix", "--yes").returncode in (0, 1)
    ended(agent)


def test_a_server_without_its_socket_gets_it_back(doctor, stage, tmux):
    pid, other = tmux("mine"), tmux("other")
    path = stage.home / "mine.sock"
    path.unlink()
    assert doctor.found("tmux-unreachable") == [f'tmux server "{path}" (pid {pid}) lives, and its socket is gone']
    assert "1 cured" in doctor("--fix", "--yes").stdout
    until(path.exists, "its socket")
    assert doctor.found("tmux-unreachable") == []
    assert all(map(alive, (pid, other)))
    (intent,) = stage.journal("action.intended")
    assert intent["data"]["action"] == "reopen"


def test_a_stopped_server_holds_nobody_up_and_is_told(doctor, stage, tmux):
    pid = tmux("mine")
    stage.kill(pid, signal.SIGSTOP)
    done = doctor("--json")
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 2
    assert checks["tmux-unreachable"]["found"][0]["what"] == f"a tmux server (pid {pid}) is stopped"
    assert checks["tmux-orphaned"]["status"] == "could not check"
    assert "did not answer" in checks["tmux-orphaned"]["why"]
    assert checks["tmux-orphaned"]["took"] <= 1.0
    stage.kill(pid, signal.SIGCONT)


def test_sessions_of_lost_rigs_are_shown_and_never_ended(doctor, stage, tmux, terminal):
    for part in ("town/mayor/rigs.json", "town/gastown/polecats/x", "town/mayor/x"):
        path = stage.home / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    town = stage.home / "town"
    servers = [
        tmux(name, session, town)
        for name, session in {
            "a": "gt-lost-witness",
            "b": "gt-gastown-witness",
            "c": "gt-lost-crew-joe",
            "d": "gt-mayor",
            "e": "work",
            "f": "gt-lost-refinery",
        }.items()
    ]
    tmux("elsewhere", "gt-lost-witness")
    terminal(*on_stage(stage, "tmux", "-S", str(stage.home / "f.sock"), "attach"))
    until(lambda: "1" in stage.run("tmux", "-S", stage.home / "f.sock", "list-clients", "-F", "1").stdout, "a client")
    (trouble,) = doctor.checks()["tmux-orphaned"]["found"]
    assert "gt-lost-witness" in trouble["what"]
    assert str(stage.home / "a.sock") in trouble["what"]
    assert trouble["fix"] == ""
    assert trouble["hint"].endswith(f"tmux -S {stage.home}/a.sock kill-session -t '$0'")
    doctor("--fix", "--yes")
    assert all(map(alive, servers))


def test_agents_in_servers_of_other_sockets_are_not_touched(doctor, stage, tmux):
    claude = stage.file("bin/claude", "#!/bin/bash\necho $$ > agent-$1\nsleep 1000\n", 0o755)
    for name in ("one", "two", "three"):
        tmux(name)
        stage.run("tmux", "-S", stage.home / f"{name}.sock", "new-window", "-d", f"{claude} {name}")
    agents = [stage.pid(f"agent-{name}") for name in ("one", "two", "three")]
    (stage.home / "three.sock").unlink()
    before = set(stage.everyone())
    doctor("--fix", "--yes", TMUX=f"{stage.home}/one.sock,1,0")
    assert before <= set(stage.everyone()), "somebody was ended"
    assert all(map(alive, agents))


def test_a_message_bus_that_hangs_is_given_up(doctor, stage):
    stage.configure("")
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(stage.tmp / "bus"))
        bus.listen()
        os.chown(stage.tmp / "bus", *lab_user())
        address = f"unix:path={stage.tmp / 'bus'}"
        check = doctor.checks(DBUS_SESSION_BUS_ADDRESS=address)["notifications"]
    assert check["status"] == "could not check"
    assert check["took"] <= 1.0


def test_a_state_directory_that_cannot_be_written_is_told(doctor, stage):
    assert doctor.checks()["places"]["status"] == "well"
    state = stage.home / "state"
    assert not state.exists()  # who only looks writes nothing
    state.mkdir(0o500)
    os.chown(state, stage.uid, stage.uid)
    (what,) = doctor.found("places")
    assert what == f"{stage.home}/state cannot be written"
