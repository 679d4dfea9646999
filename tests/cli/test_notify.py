"""`sentinel notify`: whether you can be told, and why not."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from click.testing import CliRunner

from sentinel.cli.notify import _how_to_have_dbus, command
from sentinel.notify import session_bus
from tests.lab.absent import without

NO_BUS = "this log-in has no desktop (no D-Bus session bus)"
NO_TERMINAL = "this is no terminal that is known to show notifications"


@pytest.fixture
def place(here, where, tmp_path, monkeypatch):
    """No bus, no tmux server, no terminal of any use; what notify-send would be is on the PATH."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "TERM", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(session_bus, "USER_RUNTIME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", without("jeepney", tmp_path / "hidden")["PYTHONPATH"])
    where.config.mkdir(exist_ok=True)
    return where


def notify(*words):
    result = CliRunner().invoke(command, words)
    return result.exit_code, result.stdout.splitlines()


def with_notify_send(tmp_path, monkeypatch, status):
    program = tmp_path / "notify-send"
    program.write_text(f"#!{sys.executable} -I\nimport sys\nsys.exit({status!r})\n")
    program.chmod(0o755)
    # Any address will do: this notify-send connects to nothing.
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=nobody")


def test_where_nothing_works_it_says_why_of_each(place):
    lines = [f"desktop   not delivered: {NO_BUS}", "tmux      not delivered: no tmux server runs"]
    assert notify("--test") == (1, [*lines, f"terminal  not delivered: {NO_TERMINAL}"])


def test_what_a_dead_tmux_server_has_left_is_none(place, tmp_path):
    if sys.platform != "linux":
        pytest.skip("missing: Linux")
    directory = tmp_path / f"tmux-{os.getuid()}"
    directory.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "gone"))
    assert notify("--test")[1][1] == "tmux      not delivered: no tmux server runs"
    assert notify()[1][1] == "tmux      no tmux server runs"


def test_without_a_trial_nobody_is_asked(place, tmp_path, monkeypatch):
    assert notify() == (1, [f"desktop   {NO_BUS}", "tmux      no tmux server runs", f"terminal  {NO_TERMINAL}"])
    with_notify_send(tmp_path, monkeypatch, "it was asked")
    assert notify()[0] == 0
    assert notify()[1][0] == "desktop   can be tried"


def test_one_way_that_works_is_enough(place, tmp_path, monkeypatch):
    with_notify_send(tmp_path, monkeypatch, 0)
    status, lines = notify("--test")
    assert (status, lines[0]) == (0, "desktop   shown by desktop (notify-send)")
    assert "popups stack" in lines[1]
    assert lines[1].endswith(f"({sys.prefix}/bin/python -m pip install jeepney)")
    assert "no buttons: only D-Bus itself has them" in lines[2]
    assert len(lines) == 5
    (place.config / "sentinel.toml").write_text("[notify]\nbuttons = false\n")
    assert notify("--test")[1][2].strip() == "no buttons: notify.buttons is false"


def test_a_service_has_no_terminal(place, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    unit = tmp_path / "systemd" / "user" / "sentinel.service"
    unit.parent.mkdir(parents=True)
    assert len(notify()[1]) == 3
    unit.touch()
    assert notify()[1][3:] == ["The agent is a service, and has no terminal: that way is for one in the foreground."]


def test_what_a_desktop_says_cannot_draw_on_the_terminal(place, tmp_path, monkeypatch):
    with_notify_send(tmp_path, monkeypatch, "\x1b[2Jgone")
    assert notify("--test")[1][0] == r"desktop   not delivered: \x1b[2Jgone"


def test_wishes_that_keep_it_quiet_are_said(place):
    place.config_file.write_text(
        '[notify]\nways = ["terminal"]\nquiet = "22:00-07:00"\nsilent = ["pane", "run"]\nmin_processes = 3\n'
    )
    assert notify()[1][1:] == [
        "Clean-ups of fewer than 3 things are not told.",
        "Clean-ups after these are not told: pane, run.",
        "From 22:00 to 07:00 only what is urgent is shown.",
    ]
    place.config_file.write_text("[notify]\nenabled = false\n")
    assert notify()[1][-1] == "You are told nothing: notify.enabled is false."
    place.config_file.write_text("[notify]\nways = []\n")
    assert notify("--test") == (1, ["You are told nothing: notify.ways is empty."])


@pytest.mark.parametrize(
    ("note", "how"),
    [
        ("pipx_metadata.json", "pipx inject session-sentinel jeepney"),
        ("uv-receipt.toml", "uv tool install --with jeepney session-sentinel"),
        ("nothing", "'{}/bin/python' -m pip install jeepney"),
    ],
)
def test_what_is_missing_is_put_where_this_sentinel_looks(tmp_path, note, how):
    prefix = tmp_path / "an environment"
    prefix.mkdir()
    (prefix / note).touch()
    assert _how_to_have_dbus(str(prefix)) == how.format(prefix)
