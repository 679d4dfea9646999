"""The agent as a service of a real systemd: what people install, and what happens to it."""

from __future__ import annotations

import grp
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from sentinel.observe import processes
from tests.lab.absent import without
from tests.lab.stage import alive, until
from tests.lab.systemd import PREFIX, build_wheel

pytestmark = pytest.mark.real

ALONE = """
[Service]
RestartSec=100ms
"""
"""What shortens the waiting; all else is the unit as it is."""
WATCHDOG = 2
"""Seconds."""


@pytest.fixture
def service(manager):
    """It is installed, and runs."""
    done = manager.sentinel("install", "--only", "service", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    return manager


def pid_of(manager):
    return int(manager.show("MainPID"))


def status(manager):
    return json.loads(manager.sentinel("status", "--json").stdout)


def records(manager, kind):
    journal = manager.stage.home / ".local/state/sentinel/events.jsonl"
    whole = journal.read_text().rpartition("\n")[0] if journal.exists() else ""  # a line may be half written
    found = [json.loads(line) for line in whole.splitlines()]
    return [record["data"] for record in found if record["type"] == f"dev.sentinel.{kind}"]


def hurry(manager, more=""):
    """Shorten the waiting, in the user's own place for that."""
    place = manager.stage.home / ".config/systemd/user/sentinel.service.d/hurry.conf"
    done = manager.run("sh", "-c", 'mkdir -p "${0%/*}" && printf "%s" "$1" > "$0"', place, ALONE + more)
    assert done.returncode == 0
    manager.control("daemon-reload")
    manager.control("restart", "sentinel.service")


def wish(manager, text):
    """Write the configuration, as a person does."""
    file = manager.stage.home / ".config/sentinel/sentinel.toml"
    manager.run("sh", "-c", 'mkdir -p "${0%/*}" && printf "%s" "$1" > "$0"', file, text)


def start_tmux(manager):
    """A server in a place that the service's environment does not name; its pid and its pane's."""
    hidden = manager.stage.home / "hidden"
    script = (
        f"mkdir -p {hidden} && export TMUX_TMPDIR={hidden} && "
        "tmux -L mine -f /dev/null new-session -d 'sleep 600 & wait' && "
        "tmux -L mine display-message -p '#{pid} #{pane_pid}'"
    )
    done = manager.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def kill(manager, pid, number=signal.SIGKILL):
    manager.stage.kill(pid, number)


def wait_for(manager, text):
    """Wait until ``systemctl status`` would say this."""
    until(lambda: text in manager.show("StatusText"), f'"{text}", not "{manager.show("StatusText")}",')


def test_tmux_is_found_and_outlives_every_end_of_the_service(service):
    server, pane = start_tmux(service)
    wait_for(service, "watching 2 sessions, nothing to clean")
    first = pid_of(service)
    assert "TMUX_TMPDIR" not in Path(f"/proc/{first}/environ").read_text()

    assert service.sentinel("service", "restart").returncode == 0
    wait_for(service, "watching 2 sessions, nothing to clean")
    assert records(service, "ledger.restored")[-1]["sessions"] == 2

    second = pid_of(service)
    kill(service, second)
    until(lambda: pid_of(service) not in {0, first, second}, "a new agent after the crash")
    wait_for(service, "watching 2 sessions, nothing to clean")
    assert service.show("NRestarts") == "1"
    shown = service.sentinel("service", "status")
    assert "started again once" in shown.stdout
    assert shown.returncode == 0

    assert service.sentinel("service", "stop").returncode == 0
    assert service.show("ActiveState") == "inactive"
    assert service.sentinel("service", "status").returncode == 3
    assert service.sentinel("service", "start").returncode == 0
    wait_for(service, "watching 2 sessions, nothing to clean")
    assert service.sentinel("uninstall", "--yes").returncode == 0
    assert alive(server)
    assert alive(pane)


def test_what_the_agent_itself_started_a_tmux_server_in_lives_on(service):
    """KillMode=process: what stands in the service's control group is not the service's."""
    group = Path(f"/proc/{pid_of(service)}/cgroup").read_text()
    server, pane = start_tmux(service)
    within = service.show("ControlGroup")
    service.as_root("sh", "-c", f"echo {server} > /sys/fs/cgroup{within}/cgroup.procs")
    assert Path(f"/proc/{server}/cgroup").read_text() == group
    service.sentinel("service", "stop")
    service.sentinel("service", "start")
    kill(service, pid_of(service), signal.SIGABRT)
    until(lambda: service.show("NRestarts") == "1", "the restart")
    assert alive(server)
    assert alive(pane)


def test_a_configuration_is_read_again_and_a_wrong_one_is_refused(service):
    agent = pid_of(service)
    wish(service, 'mode = "observe"\n')
    assert service.sentinel("service", "reload").returncode == 0
    assert status(service)["mode"] == "observe"
    wish(service, "mode = 7\n")
    refused = service.sentinel("service", "reload")
    assert refused.returncode == 78
    assert ":1:" in refused.stderr
    assert records(service, "config.read") == [{"trouble": "", "later": []}]
    assert service.control("reload", "sentinel.service").returncode == 0  # not through us: the agent refuses
    told = status(service)
    assert told["mode"] == "observe"
    assert "sentinel.toml:1:" in told["refused"]
    assert "the one before it holds" in service.sentinel("status").stdout
    wish(service, "")
    assert service.sentinel("service", "reload").returncode == 0
    told = status(service)
    assert (told["mode"], told["refused"], pid_of(service)) == ("act", "", agent)
    assert service.show("ActiveState") == "active"
    wish(service, "mode = 7\n")
    refused = service.sentinel("service", "restart")
    assert (refused.returncode, ":1:" in refused.stderr, pid_of(service)) == (78, True, agent)
    assert service.control("restart", "sentinel.service").returncode == 1
    time.sleep(1.2)  # RestartSec: a wrong configuration does not become right by starting again
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
    shown = service.sentinel("service", "status")
    assert "It has failed (exit-code)" in shown.stdout
    assert shown.returncode == 3
    refused = service.sentinel("service", "start")
    assert (refused.returncode, ":1:" in refused.stderr) == (78, True)


def test_an_agent_that_stands_still_is_started_anew(service):
    hurry(service, f"WatchdogSec={WATCHDOG}\n")
    agent = pid_of(service)
    time.sleep(1.5 * WATCHDOG)  # more than its time: while it looks, it is left alone
    assert pid_of(service) == agent
    kill(service, agent, signal.SIGSTOP)
    until(lambda: pid_of(service) not in {0, agent}, "the watchdog's bite")
    assert not alive(agent)
    until(lambda: status(service)["state"] == "running", "the new agent")
    told = service.sentinel("doctor").stdout
    assert "the agent crashed 1 time within a day" in told
    assert "Fatal Python error: Aborted" in told


def test_after_three_crashes_it_only_observes_and_says_so(service):
    hurry(service)
    for _ in range(3):
        agent = pid_of(service)
        kill(service, agent, signal.SIGABRT)
        until(lambda: pid_of(service) not in {0, agent} and service.show("ActiveState") == "active", "the next one")  # noqa: B023 - called here
    wait_for(service, "safe mode, nothing is ended: it crashed 3 times within 60 s")
    assert "Safe mode: it crashed 3 times within 60 s. It only observes" in service.sentinel("status").stdout
    assert records(service, "agent.safe")
    told = service.sentinel("doctor").stdout
    assert "the agent crashed 3 times within a day" in told
    assert "asyncio/base_events.py" in told
    assert "the agent is in safe mode, and ends nothing" in told
    child = left_behind(service, "sleep 600")
    until(lambda: records(service, "session.judged"), "the judgement")
    time.sleep(0.5)
    assert alive(child)
    assert service.sentinel("service", "restart").returncode == 0
    wait_for(service, "watching")
    assert status(service)["safe"] == ""


def left_behind(manager, command, *, kill_it=True, catches=0):
    """A ``sentinel run`` is killed, if not now then later, and leaves a child that runs this; its pid.

    It is waited for until it catches that signal.
    """
    file = manager.stage.home / "tmp" / "child"
    script = f"{command} & echo $! > {file}.new; mv {file}.new {file}; wait"
    wrapper = manager.start("sentinel", "run", "--name", "api", "--", "bash", "-c", script)
    child = int(until(lambda: file.exists() and file.read_text(), "the child"))

    def known():
        return "owned by" in manager.sentinel("explain", str(child), "--json").stdout

    until(known, "the agent knowing it")
    until(lambda: not catches or processes.catches(child, catches), "its trap")
    if kill_it:
        kill(manager, wrapper.pid)
    return child


def test_it_stops_in_the_middle_of_a_clean_up_and_the_next_one_ends_it(service):
    wish(service, "[policy.default]\ngrace = 60\n")
    service.control("reload", "sentinel.service")
    child = left_behind(service, 'bash -c "trap : TERM; while :; do sleep 0.05; done"', catches=signal.SIGTERM)
    until(lambda: records(service, "action.intended"), "the intent")
    assert service.sentinel("service", "stop").returncode == 0
    assert service.show("Result") == "success"  # within TimeoutStopSec, else it would have been killed
    assert alive(child)
    wish(service, "[policy.default]\ngrace = 0.2\n")
    assert service.sentinel("service", "start").returncode == 0
    until(lambda: not alive(child), "the end of what was left")
    assert records(service, "agent.stopped")
    until(lambda: records(service, "cleanup.done"), "the word on it")
    (abandoned,) = records(service, "action.abandoned")
    assert {target["now"] for target in abandoned["targets"]} >= {"alive"}
    assert status(service)["safe"] == ""


def test_it_is_there_after_the_log_in_and_what_outlives_the_log_out_is_told(service):
    assert "what lives on after your log-out is watched" in service.sentinel("doctor").stdout
    start_tmux(service)
    told = service.sentinel("doctor").stdout
    assert "1 tmux server of yours would live on after your last log-out" in told
    assert "loginctl enable-linger" in told
    service.as_root("touch", f"/var/lib/systemd/linger/{service.user}")
    assert "would live on" not in service.sentinel("doctor").stdout
    assert "enable-linger" not in service.sentinel("service", "status").stdout
    before = pid_of(service)
    service.log_out()
    until(lambda: not alive(before), "the end of the agent")
    assert not records(service, "agent.stopped")[-1]["why"].startswith("it crashed")
    service.boot()
    wait_for(service, "watching 2 sessions")
    assert pid_of(service) != before


def test_beside_an_agent_in_a_terminal_it_waits_for_its_turn(manager):
    manager.start("sentinel", "agent")
    until(lambda: manager.sentinel("status").returncode == 0, "the agent")
    done = manager.sentinel("install", "--only", "service", "--yes")
    assert done.returncode == 1
    assert "another agent runs (pid " in done.stderr
    assert "end that, then: sentinel service start" in done.stderr
    until(lambda: manager.show("ActiveState") == "inactive", "the end of the second one")
    assert manager.show("NRestarts") == "0"
    assert "An agent runs without it (pid " in manager.sentinel("service", "status").stdout


def test_an_upgrade_keeps_what_is_watched(bare_manager, tmp_path):
    manager = bare_manager
    manager.pip_install(build_wheel(tmp_path, "0.0.9"))
    assert manager.sentinel("install", "--only", "service", "--yes").returncode == 0
    unit = (manager.stage.home / ".config/systemd/user/sentinel.service").read_text()
    assert f"ExecStart={PREFIX}/bin/python" in unit
    server, pane = start_tmux(manager)
    child = left_behind(manager, "sleep 600", kill_it=False)
    wait_for(manager, "watching 3 sessions, nothing to clean")
    first = status(manager)
    assert first["version"] == "0.0.9"

    manager.pip_install(build_wheel(tmp_path, "1.0.0"))
    told = manager.sentinel("doctor").stdout
    assert "the agent that runs is of another version" in told
    assert "start the agent anew: it is of another version" in manager.sentinel("install", "--dry-run").stdout
    done = manager.sentinel("install", "--only", "service", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    wait_for(manager, "watching 3 sessions, nothing to clean")
    assert status(manager)["version"] == "1.0.0"
    assert records(manager, "ledger.restored")[-1]["sessions"] == 3
    assert manager.sentinel("install", "--only", "service", "--yes").stdout == "Everything is as it should be.\n"
    assert [alive(pid) for pid in (server, pane, child)] == [True] * 3
    manager.stage.kill(parent_of(parent_of(child)))
    until(lambda: not alive(child), "the end of what was left")


NO_WAY_NAMED = """
[Service]
UnsetEnvironment=DBUS_SESSION_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY
Environment={more}
"""


@pytest.mark.parametrize("way", ["D-Bus", "notify-send"])
def test_a_popup_needs_neither_a_display_nor_a_bus_in_the_services_environment(manager, way):
    raise_desktop(manager)
    hidden = "" if way == "D-Bus" else f"PYTHONPATH={without('jeepney', manager.stage.home / 'hidden')['PYTHONPATH']}"
    place = manager.stage.home / ".config/systemd/user/sentinel.service.d/bare.conf"
    script = 'mkdir -p "${0%/*}" && printf "%s" "$1" > "$0"'
    assert manager.run("sh", "-c", script, place, NO_WAY_NAMED.format(more=hidden)).returncode == 0
    assert manager.sentinel("install", "--only", "service", "--yes").returncode == 0
    environ = Path(f"/proc/{pid_of(manager)}/environ").read_text()
    assert "DISPLAY" not in environ
    assert "DBUS_SESSION_BUS_ADDRESS" not in environ
    left_behind(manager, "sleep 600")
    (told,) = until(lambda: records(manager, "notification.sent"), "the notification")
    assert (told["shown"], told["by"]) == (True, f"desktop ({way})"), told
    manager.run("dunstctl", "close-all")
    [popup] = json.loads(manager.run("dunstctl", "history").stdout)["data"][0]
    assert popup["summary"]["data"] == "Sentinel cleaned up"
    assert '"api" in ~ was killed by SIGKILL' in popup["body"]["data"]


def raise_desktop(manager):
    """A screen that the service is not told of, and dunst on the user's bus."""
    for program in ("Xvfb", "dunst", "dunstctl", "dbus-send", "notify-send"):
        if shutil.which(program) is None:
            pytest.skip(f"missing: {program}")
    told = manager.stage.home / "tmp" / "display"
    manager.start("sh", "-c", f"exec Xvfb -displayfd 9 -nolisten tcp 9>{told}")
    number = until(lambda: told.exists() and told.read_text().strip(), "the screen")
    manager.start("env", f"DISPLAY=:{number}", "dunst", "-conf", "/dev/null")
    question = "--dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.Notifications"
    ask = ["dbus-send", "--session", "--print-reply", *question.split()]
    until(lambda: "boolean true" in manager.run(*ask).stdout, "dunst on the bus")


def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def test_its_words_are_in_the_journal_and_its_history_outlives_it(service):
    groups = f"--groups={grp.getgrnam('systemd-journal').gr_gid}"

    def shown():
        return service.run("sentinel", "service", "logs", groups=groups).stdout

    until(lambda: "Started sentinel.service" in shown(), "systemd's word getting into the journal")
    assert service.sentinel("service", "uninstall").returncode == 0
    assert service.show("LoadState") == "not-found"
    assert [data["why"] for data in records(service, "agent.stopped")] == ["it got SIGTERM"]


def test_a_home_is_as_it_was(manager):
    home = manager.stage.home
    script = """
        mkdir -p .config/systemd/user .local/share/man/man1 && echo '[Unit]' > .config/systemd/user/other.service
        echo mine > .local/share/man/man1/sentinel-run.1 && chmod 600 .local/share/man/man1/sentinel-run.1
        mkdir dotfiles && echo '# mine' > dotfiles/sentinel.fish && mkdir -p .config/fish/completions
        ln -s ~/dotfiles/sentinel.fish .config/fish/completions/sentinel.fish
        mkdir .claude && printf '{\\n    "theme": "dark"}' > .claude/settings.json
    """
    assert manager.run("sh", "-ec", script).returncode == 0
    before = picture(home)
    assert manager.sentinel("install", "--dry-run").returncode == 0
    assert picture(home) == before
    assert manager.sentinel("install").returncode == 1  # nobody is there to say yes
    assert picture(home) == before
    assert manager.sentinel("install", "--yes").returncode == 0
    assert "sentinel" in (home / ".claude/settings.json").read_text()
    first = pid_of(manager)
    manager.stage.kill(first)  # a crash leaves its traces, too
    until(lambda: pid_of(manager) not in {0, first} and manager.show("ActiveState") == "active", "the next agent")
    again = manager.sentinel("install", "--yes")
    assert again.stdout == "Everything is as it should be.\n"
    assert len(list(home.rglob("*"))) > len(before) + 10  # the agent's files come and go: their names are enough
    assert manager.sentinel("uninstall", "--dry-run").returncode == 0
    done = manager.sentinel("uninstall", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert picture(home) == before
    assert manager.show("LoadState") == "not-found"
    assert manager.sentinel("uninstall", "--yes").stdout == "Nothing is installed.\n"


def picture(home):
    """Every name below a directory, with all that can be seen of it from outside."""
    return {
        str(path): (
            oct(path.lstat().st_mode),
            os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(home.rglob("*"))
    }
