"""Whether a person can be told: one way that works is enough, and each that does not says why."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sentinel import instance
from sentinel.config import Config, Notify
from sentinel.core.facts import Unknown
from sentinel.doctor import of_notifications
from sentinel.doctor.check import CouldNotCheck
from sentinel.observe.tmux import TmuxServer
from tests.notify import test_tmux

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="missing: tmux")


@pytest.fixture
def patient(where, monkeypatch):
    """No bus, no tool, no tmux, no agent."""
    where.state.mkdir(exist_ok=True)
    monkeypatch.setattr(of_notifications.shutil, "which", lambda _: None)
    monkeypatch.setattr(of_notifications, "find_spec", lambda _: None)
    monkeypatch.setattr(of_notifications.session_bus, "find", lambda _: "")
    return SimpleNamespace(where=where, config=Config(), tmux_servers=list)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        yield test_tmux.Server(tmp_path / "s", stack)


def desktop(monkeypatch, serves):
    """What a bus with a tool before it answers."""
    monkeypatch.setattr(of_notifications.shutil, "which", lambda _: "/usr/bin/notify-send")
    monkeypatch.setattr(of_notifications.session_bus, "find", lambda _: "unix:path=/somewhere")
    monkeypatch.setattr(of_notifications.message_bus, "serves", lambda *_: serves)


def evidence(patient):
    return [sentence for trouble in of_notifications.notifications(patient) for sentence in trouble.evidence]


def test_where_no_way_leads_to_the_person_each_says_why_and_the_hint_switches_none_off_that_could(patient, monkeypatch):
    (trouble,) = of_notifications.notifications(patient)
    assert trouble.evidence == (
        "desktop: neither jeepney nor notify-send nor dbus-python is installed (apt install libnotify-bin)",
        "tmux: no tmux server runs",
        "terminal: no agent runs in one",
    )
    assert trouble.hint.startswith("attach to tmux, or start a notification service")
    monkeypatch.setattr(of_notifications.shutil, "which", lambda _: "/usr/bin/notify-send")
    assert evidence(patient)[0] == "desktop: this log-in has no D-Bus session bus"
    desktop(monkeypatch, serves=False)
    assert evidence(patient)[0].startswith("desktop: nobody serves")
    desktop(monkeypatch, serves=True)
    assert evidence(patient) == []


@needs_tmux
def test_a_tmux_client_is_a_way_and_a_server_without_one_is_not(patient, server):
    patient.tmux_servers = lambda: [(None, TmuxServer(server.mark, "s", is_overminds=False))]
    assert evidence(patient)[1] == "tmux: no client is attached"
    server.attach()
    assert evidence(patient) == []
    patient.config = Config(notify=Notify(ways=("desktop",)))
    assert len(evidence(patient)) == 1


@needs_tmux
def test_a_desktop_that_does_not_answer_matters_only_where_no_other_way_works(patient, server, monkeypatch):
    desktop(monkeypatch, serves=Unknown("whether anybody serves", "no answer"))
    with pytest.raises(CouldNotCheck, match="no answer"):
        evidence(patient)
    patient.tmux_servers = lambda: [(None, TmuxServer(server.mark, "s", is_overminds=False))]
    server.attach()
    assert evidence(patient) == []


@pytest.mark.parametrize(
    ("term", "ahead", "why"),
    [
        ("xterm-kitty", True, None),
        ("xterm-kitty", False, "terminal: the agent has none, or runs in the background of it"),
        ("xterm", True, "terminal: this is no terminal that is known to show notifications"),
    ],
)
def test_the_agents_own_terminal_counts_and_not_that_of_the_doctor(patient, monkeypatch, term, ahead, why):
    monkeypatch.setattr(of_notifications.instance, "look", lambda _: running)
    environ = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TERM_PROGRAM")}
    leader, follower = pty.openpty()
    words = [*(["setsid", "--ctty"] if ahead else []), sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(words, stdin=follower, stdout=follower, env={**environ, "TERM": term}) as agent:
        running = instance.State(instance.Condition.RUNNING, agent.pid)
        try:
            assert os.read(leader, 2) == b"up"
            said = evidence(patient)
        finally:
            agent.kill()
            os.close(leader)
            os.close(follower)
    assert (said[2] if said else None) == why


def test_who_wants_no_notifications_lacks_nothing(patient):
    patient.config = Config(notify=Notify(enabled=False))
    assert evidence(patient) == []
