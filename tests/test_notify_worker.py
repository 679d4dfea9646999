from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from sentinel.notify import delivery
from sentinel.notify_worker import NotDelivered, Text, deliver
from tests.lab.absent import without

BY_NOTIFY_SEND = '{"by": "notify-send", "id": 0, "waits": false}\n'


@pytest.fixture
def path(tmp_path):
    """A PATH on which the only program is a notify-send that prints what it was given; jeepney is hidden."""
    program = tmp_path / "notify-send"
    program.write_text(f"#!{sys.executable} -I\nimport sys\nprint(ascii(sys.argv[1:]), file=sys.stderr)\n")
    program.chmod(0o755)
    return str(tmp_path)


def run(path: str, cwd: str = "/", **changes) -> subprocess.CompletedProcess[str]:
    environ = without("jeepney", Path(tempfile.mkdtemp(dir=path)) / "hidden")
    job = {
        "application": "Sentinel",
        "title": "Sentinel",
        "body": "hello",
        "urgent": False,
        "replaces": 0,
        "buttons": [],
        "patience": 60,
        "deadline": 20,
        "agent": os.getpid(),
    }
    return subprocess.run(
        delivery.COMMAND,
        input=json.dumps(job | changes),
        env={"PATH": path, **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_it_becomes_notify_send_with_the_text_behind_the_options(path):
    done = run(path, title="-t", body="--help")
    assert done.stderr == f"{BY_NOTIFY_SEND}['--app-name=Sentinel', '--', '-t', '--help']\n"
    assert (done.returncode, done.stdout) == (0, "")


def test_backslashes_are_doubled_in_the_body_alone(path):
    done = run(path, title=r"a\b", body=r"\033 \\")
    assert json.loads(done.stderr.splitlines()[1].replace("'", '"'))[2:] == [r"a\b", r"\\033 \\\\"]


def test_any_unicode_gets_there_in_any_locale(path):
    done = run(path, body="…é\U0001f600")
    assert r"'\u2026\xe9\U0001f600'" in done.stderr


def test_without_notify_send_and_dbus_python_it_names_the_package(tmp_path):
    if importlib.util.find_spec("dbus"):
        pytest.skip("missing: an environment without dbus-python")
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "neither jeepney nor notify-send nor dbus-python is installed (apt install libnotify-bin)\n"


def test_without_pyobjus_macos_is_told_what_is_missing():
    # A Mac cannot be had here. plyer's macOS module is the real one, and so is its ImportError.
    with pytest.raises(NotDelivered, match=r"^pyobjus is not installed \(pip install pyobjus\)$"):
        deliver(Text("Sentinel", "Sentinel", "hello"), "darwin", 1.0)


def test_outside_an_app_bundle_macos_is_told_so(monkeypatch):
    # A Mac cannot be had here, so plyer's module is played; the error is the one that people report.
    module = types.ModuleType("plyer.platforms.macosx.notification")
    module.instance = lambda: types.SimpleNamespace(notify=lambda **_: None.setDelegate_)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(
        NotDelivered, match=r"^macOS gives its notification centre to app bundles only \(.*setDelegate_"
    ):
        deliver(Text("Sentinel", "Sentinel", "hello"), "darwin", 1.0)


@pytest.fixture
def mac(path, tmp_path):
    """Plays a Mac without pyobjus: calls what shows notifications there, in a process of its own."""

    def show(program, title="Sentinel", body="hello"):
        said = (tmp_path / "notify-send").read_text()
        (tmp_path / program).write_text(said)
        (tmp_path / program).chmod(0o755)
        script = "import sys; from sentinel.notify_worker import *; deliver(Text(*sys.argv[1:]), 'darwin', 1)"
        command = [sys.executable, "-P", "-c", script, "Sentinel", title, body]
        done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=30)
        said, words = done.stderr.splitlines()
        assert json.loads(said) == {"by": program, "id": 0, "waits": False}
        return json.loads(words.replace("'", '"'))

    return show


def test_on_a_mac_a_text_is_never_part_of_the_script(mac):
    # A Mac cannot be had here: osascript is played by a program that prints its arguments.
    words = mac("osascript", body="x) & (do shell script (quoted form of (z")
    script = [words[at + 1] for at, word in enumerate(words) if word == "-e"]
    assert script == [
        "on run words",
        "display notification (item 2 of words) with title (item 1 of words)",
        "end run",
    ]
    assert words[2 * len(script) :] == ["Sentinel", "x) & (do shell script (quoted form of (z"]


@pytest.mark.parametrize(("body", "shown"), [("claude died", "claude died"), ("-x", "• -x"), ("(x", "• (x")])
def test_on_a_mac_terminal_notifier_gets_no_text_that_it_would_read_otherwise(mac, body, shown):
    # As above. What begins like an option or a property list is lost by the real one.
    words = mac("terminal-notifier", body=body)
    assert words == ["-title", "Sentinel", "-message", shown, "-group", "Sentinel"]


def test_modules_that_lie_about_in_the_current_directory_are_not_imported(path, tmp_path):
    for name in ("json", "plyer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    assert "hijacked" not in run(path, cwd=str(tmp_path)).stderr


def test_it_does_not_start_for_an_agent_that_is_gone(path):
    done = run(path, agent=1 << 30)
    assert (done.returncode, done.stderr) == (1, "the agent is gone\n")


def test_it_ends_by_itself_soon_after_the_deadline(path, tmp_path):
    (tmp_path / "notify-send").write_text(f"#!{sys.executable} -I\nimport time\ntime.sleep(600)\n")
    done = run(path, deadline=0.1)
    assert done.returncode == -14  # SIGALRM, though by then it was notify-send
