from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest

from sentinel.notify import delivery
from sentinel.notify_worker import NotDelivered, Text, deliver


@pytest.fixture
def path(tmp_path):
    """A PATH on which the only program is a notify-send that prints what it was given."""
    program = tmp_path / "notify-send"
    program.write_text(f"#!{sys.executable} -I\nimport sys\nprint(ascii(sys.argv[1:]), file=sys.stderr)\n")
    program.chmod(0o755)
    return str(tmp_path)


def run(path: str, cwd: str = "/", **changes) -> subprocess.CompletedProcess[str]:
    job = {"application": "Sentinel", "title": "Sentinel", "body": "hello", "deadline": 20, "agent": os.getpid()}
    return subprocess.run(
        delivery.COMMAND,
        input=json.dumps(job | changes),
        env={"PATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_it_becomes_notify_send_with_the_text_behind_the_options(path):
    done = run(path, title="-t", body="--help")
    assert done.stderr == "['--app-name=Sentinel', '--', '-t', '--help']\n"
    assert (done.returncode, done.stdout) == (0, "")


def test_backslashes_are_doubled_in_the_body_alone(path):
    done = run(path, title=r"a\b", body=r"\033 \\")
    assert json.loads(done.stderr.replace("'", '"'))[2:] == [r"a\b", r"\\033 \\\\"]


def test_any_unicode_gets_there_in_any_locale(path):
    done = run(path, body="…é\U0001f600")
    assert r"'\u2026\xe9\U0001f600'" in done.stderr


def test_without_notify_send_and_dbus_python_it_names_the_package(tmp_path):
    if importlib.util.find_spec("dbus"):
        pytest.skip("missing: an environment without dbus-python")
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "neither notify-send nor dbus-python is installed (apt install libnotify-bin)\n"


def test_without_pyobjus_macos_is_told_what_is_missing():
    # A Mac cannot be had here. plyer's macOS module is the real one, and so is its ImportError.
    with pytest.raises(NotDelivered, match=r"^pyobjus is not installed \(pip install pyobjus\)$"):
        deliver(Text("Sentinel", "Sentinel", "hello"), "darwin")


def test_outside_an_app_bundle_macos_is_told_so(monkeypatch):
    # A Mac cannot be had here, so plyer's module is played; the error is the one that people report.
    module = types.ModuleType("plyer.platforms.macosx.notification")
    module.instance = lambda: types.SimpleNamespace(notify=lambda **_: None.setDelegate_)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(
        NotDelivered, match=r"^macOS gives its notification centre to app bundles only \(.*setDelegate_"
    ):
        deliver(Text("Sentinel", "Sentinel", "hello"), "darwin")


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
