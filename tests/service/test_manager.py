"""The managers at their seam: what they are told, and what is made of their answers. Real ones: real/test_service."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sentinel.errors import SentinelError
from sentinel.service import launchd, manager, systemd

HOME = Path("/home/me")


class Recorder:
    """Stands in for systemctl and launchctl: launchctl is nowhere here, and a failure cannot be ordered."""

    def __init__(self):
        self.asked = []
        self.answers = {}

    def __call__(self, command):
        self.asked.append(" ".join(command))
        status, said = next((answer for word, answer in self.answers.items() if word in command), (0, ""))
        return subprocess.CompletedProcess(command, status, said if status == 0 else "", said if status else "")

    @property
    def told(self):
        """All but questions."""
        return [line for line in self.asked if " show " not in line and " print " not in line]


@pytest.fixture
def run():
    return Recorder()


@pytest.fixture
def linux(run):
    return manager.Systemd({}, HOME, "me", run)


@pytest.fixture
def mac(run):
    return manager.Launchd(Path("/Users/me"), Path("/Users/me/state"), 501, run)


def test_systemd_is_told_in_order(linux, run):
    linux.put_up(changed=True)
    assert run.told == [
        "systemctl --user reset-failed sentinel.service",
        "systemctl --user daemon-reload",
        "systemctl --user enable --now sentinel.service",
    ]


def test_one_that_runs_is_started_anew_only_when_its_unit_is_another(linux, run):
    run.answers["show"] = (0, "ActiveState=active\nMainPID=42\n")
    linux.put_up(changed=False)
    assert "systemctl --user restart sentinel.service" not in run.told
    linux.put_up(changed=True)
    assert run.told[-1] == "systemctl --user restart sentinel.service"


def test_what_systemd_says_of_it(linux, run):
    said = (
        "ActiveState=active\nMainPID=42\nNRestarts=3\nResult=success\nUnitFileState=enabled\n"
        "StatusText=watching 7 sessions\x1b[2J\nActiveEnterTimestamp=Sat 2026-11-21 10:59:39 UTC\n"
    )
    run.answers["show"] = (0, said)
    state = linux.state()
    assert (state.enabled, state.running, state.pid, state.restarts) == (True, True, 42, 3)
    assert state.says == "watching 7 sessions\\x1b[2J"
    assert state.failed == ""
    run.answers["show"] = (0, "ActiveState=failed\nResult=start-limit-hit\nMainPID=0\n")
    state = linux.state()
    assert (state.running, state.failed, state.says) == (False, "start-limit-hit", "")


@pytest.mark.parametrize(
    "said", ["Failed to connect to bus: No medium found", "System has not been booted with systemd as init system"]
)
def test_where_there_is_no_manager_the_other_way_is_named(linux, run, said):
    run.answers["show"] = (1, said)
    with pytest.raises(manager.NoManager, match="start Sentinel with: sentinel agent") as failure:
        linux.state()
    assert failure.value.exit_code == 4


def test_what_systemd_refuses_is_told_in_its_words(linux, run):
    run.answers["start"] = (1, "Job for sentinel.service failed.\nSee journalctl.\n\x1b[1m")
    with pytest.raises(SentinelError, match=r"systemctl --user start sentinel.service: Job .* failed. See") as failure:
        linux.tell("start")
    assert "\x1b" not in str(failure.value)


def test_without_systemctl_there_is_no_manager(tmp_path, monkeypatch):
    monkeypatch.setattr(manager.sys, "platform", "linux")
    with pytest.raises(manager.NoManager, match="no systemd"):
        manager.find(tmp_path, {"PATH": str(tmp_path)})


def test_the_way_to_the_manager_is_found_where_su_has_lost_it(monkeypatch):
    monkeypatch.setattr(manager.os.path, "isdir", lambda path: path.startswith("/run/user/"))
    assert manager._reachable({})["XDG_RUNTIME_DIR"].startswith("/run/user/")
    assert manager._reachable({"XDG_RUNTIME_DIR": "/mine"})["XDG_RUNTIME_DIR"] == "/mine"


def test_lingering_is_a_flag_on_disk(tmp_path):
    assert not systemd.lingers("me", tmp_path)
    (tmp_path / "me").touch()
    assert systemd.lingers("me", tmp_path)


def test_launchd_is_told_in_order(mac, run):
    mac.put_up(changed=True)
    mac.tell("restart")
    mac.take_down()
    file = f"/Users/me/Library/LaunchAgents/{launchd.LABEL}.plist"
    assert run.told == [
        f"launchctl bootout gui/501/{launchd.LABEL}",
        f"launchctl bootstrap gui/501 {file}",
        f"launchctl kickstart -k gui/501/{launchd.LABEL}",
        f"launchctl bootout gui/501/{launchd.LABEL}",
    ]
    assert mac.logs(lines=5, follow=True) == ["tail", "-n5", "-F", "/Users/me/state/agent.log"]
    command = ["/usr/bin/python3", "-m", "sentinel"]
    assert mac.text(command) == launchd.agent(command, Path("/Users/me/state"))  # which test_launchd looks into


def test_what_launchd_says_of_it(mac, run):
    said = (
        "gui/501/dev.sentinel.agent = {\n\tstate = running\n\tpid = 42\n\truns = 2\n\tlast exit code = (never exited)\n"
        "\tendpoints = {\n\t\tstate = odd\n\t}\n}\n"
    )
    run.answers["print"] = (0, said)
    state = mac.state()
    assert (state.enabled, state.running, state.pid, state.failed, state.lingers) == (True, True, 42, "", None)
    run.answers["print"] = (0, "x = {\n\tstate = not running\n\tlast exit code = 78\n}\n")
    assert mac.state().failed == "status 78"
    run.answers["print"] = (113, "Could not find service")
    assert not mac.state().enabled
