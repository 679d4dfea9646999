"""Real notifications: a D-Bus session, dunst, and what dunst says that it was given."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.notify import Delivery, Notifier, session_bus, texts

pytestmark = pytest.mark.real

LAB = Path(__file__).parent.parent / "lab" / "notify_lab.sh"
SHOWN = Delivery(shown=True)
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

HUNG_SERVER = """
import dbus, time
bus = dbus.SessionBus()
bus.request_name("org.freedesktop.Notifications")
print("owned", flush=True)
time.sleep(600)
"""


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"missing: {program}")


def need_dbus_python(python: str, environ: dict[str, str] | None = None) -> None:
    if subprocess.run([python, "-c", "import dbus"], env=environ, capture_output=True, check=False).returncode:
        pytest.skip("missing: python3-dbus")


def send(environ: dict[str, str], title: str, body: str, deadline: float = 30) -> Delivery:
    return asyncio.run(Notifier(deadline=deadline, environ=environ).send(title, body))


@dataclass
class Desktop:
    environ: dict[str, str]

    def popups(self) -> list[tuple[str, str, str]]:
        """Application, title and body of what dunst has shown, the newest first."""
        self._dunstctl("close-all")  # the history has only what is no longer on the screen
        history = json.loads(self._dunstctl("history"))["data"][0]
        return [(p["appname"]["data"], p["summary"]["data"], p["body"]["data"]) for p in history]

    def _dunstctl(self, command: str) -> str:
        return subprocess.run(
            ["dunstctl", command], env=self.environ, capture_output=True, text=True, check=True, timeout=30
        ).stdout


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    need("Xvfb", "dunst", "dunstctl", "notify-send", "dbus-run-session")
    told = tmp_path_factory.mktemp("desktop") / "environ"
    # The lab lives for as long as its stdin is open: it ends with this test run, however that ends.
    command = [LAB, "sh", "-c", 'env -0 >"$0"; echo up; read -r _', told]
    with (
        open(told.parent / "noise", "wb") as noise,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise) as lab,
    ):
        assert lab.stdin is not None
        assert lab.stdout is not None
        assert lab.stdout.readline() == b"up\n"
        pairs = (pair.partition("=")[::2] for pair in told.read_text().split("\0") if pair)
        yield Desktop(dict(pairs))
        lab.stdin.close()
        lab.stdout.read()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A bus on which nobody shows notifications and from which nobody can be started."""
    need("dbus-daemon", "notify-send")
    monkeypatch.setattr(session_bus, "USER_RUNTIME", str(tmp_path / "nowhere"))
    (tmp_path / "bus.conf").write_text(BUS_CONFIG.format(path=tmp_path / "bus"))
    command = ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--print-address=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        yield {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
        daemon.terminate()


def relatives(environ: dict[str, str]) -> set[int]:
    """Every process that has this test's home in its environment: also those whose parent is gone."""
    mark = f"HOME={environ['HOME']}\0".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


# What plyer itself loses, obeys or passes on as markup; and names that want to do harm.
# Given title and body, shown title and body.
TEXTS = {
    "a title that is an option": ("-x", "hello", "Sentinel: -x", "hello"),
    "a body that is an option": ("Sentinel", "--help", "Sentinel", " --help"),
    "a title that gives a hint": ("--hint=int:x:1", "hello", "Sentinel: --hint=int:x:1", "hello"),
    "a title that ends the options": ("--", "--", "Sentinel: --", " --"),
    "no title": ("", "hello", "Sentinel", "hello"),
    "no body": ("Sentinel: nothing to add", "", "Sentinel: nothing to add", ""),
    "markup in the title": ("Sentinel: <b>x</b>", "hello", "Sentinel: \u2039b\u203ax\u2039/b\u203a", "hello"),
    "markup": (
        "Sentinel",
        '<img src="http://example.org/x.png"> &lt;b&gt; &#x202e;',
        "Sentinel",
        '\u2039img src="http://example.org/x.png"\u203a +lt;b+gt; +#x202e;',
    ),
    "two lines": ("Sentinel", "claude was killed.\n2 ended.", "Sentinel", "claude was killed.\n2 ended."),
    "terminal escapes": ("Sentinel", "a\x1b[31mb\x9bc\x07", "Sentinel", r"a\x1b[31mb\x9bc\x07"),
    "a name that runs backwards": ("Sentinel", "exe\u202etxt.sh", "Sentinel", r"exe\u202etxt.sh"),
    "backslashes that notify-send expands": ("Sentinel", r"\033[31m \377 \n \\", "Sentinel", r"\033[31m \377 \n \\"),
    "quotes": ("Sentinel: 'a' \"b\"", "'}, 'x': $(id)`id`\"", "Sentinel: 'a' \"b\"", "'}, 'x': $(id)`id`\""),
    "other alphabets": (
        "Sentinel: \u732b",
        "\u0433\u043e \U0001f600 \u2026",
        "Sentinel: \u732b",
        "\u0433\u043e \U0001f600 \u2026",
    ),
    "bytes that were no text": ("Sentinel", "a\udcffb", "Sentinel", r"a\xffb"),
}


@pytest.mark.parametrize(("title", "body", "seen_title", "seen_body"), TEXTS.values(), ids=TEXTS)
def test_every_text_arrives_and_does_nothing(desktop, title, body, seen_title, seen_body):
    before = desktop.popups()
    assert send(desktop.environ, title, body) == SHOWN
    assert desktop.popups() == [("Sentinel", seen_title, seen_body), *before]


@given(body=st.text(alphabet=st.one_of(st.characters(), st.sampled_from("-<>&\\\"'$\n\x1b\u202e")), max_size=500))
@settings(max_examples=60, deadline=None)
def test_what_arrives_is_what_was_made_of_the_text(desktop, body):
    assert send(desktop.environ, "Sentinel", body) == SHOWN
    assert desktop.popups()[0][2] == texts.body(body)


def test_the_locale_of_a_service_is_no_obstacle(desktop):
    environ = {key: desktop.environ[key] for key in ("PATH", "DBUS_SESSION_BUS_ADDRESS")}
    assert send(environ | {"LANG": "C"}, "Sentinel", "\u2026\xe9") == SHOWN
    assert desktop.popups()[0][2] == "\u2026\xe9"


def test_dbus_python_serves_where_notify_send_is_missing(desktop, tmp_path):
    environ = desktop.environ | {"PATH": str(tmp_path), "PYTHONPATH": SYSTEM_PACKAGES}
    need_dbus_python(sys.executable, environ)
    assert send(environ, "Sentinel: by dbus-python", r"<b> \033 -x") == SHOWN
    assert desktop.popups()[0] == ("Sentinel", "Sentinel: by dbus-python", "\u2039b\u203a \\033 -x")


def test_a_bus_without_a_notification_server_is_no_success(bus):
    expected = "no notification service runs (nobody owns org.freedesktop.Notifications)"
    assert send(bus, "Sentinel", "hello") == Delivery(shown=False, why=expected)


def test_a_bus_that_died_is_no_success(bus, tmp_path):
    gone = tmp_path / "gone"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(gone))  # and nobody listens
        delivery = send(bus | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={gone}"}, "Sentinel", "hello")
    assert not delivery.shown
    assert "refused" in delivery.why


@pytest.fixture
def hung(bus: dict[str, str]) -> Iterator[int]:
    """The pid of a notification server that owns its name and never answers."""
    need_dbus_python("/usr/bin/python3")
    environ = bus | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus['XDG_RUNTIME_DIR']}/bus"}
    command = ["/usr/bin/python3", "-c", HUNG_SERVER]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"owned\n"
        yield server.pid
        server.kill()


@pytest.mark.parametrize("way", ["notify-send", "dbus-python"])
def test_a_server_that_never_answers_costs_the_deadline_and_leaves_nothing(bus, hung, tmp_path, way):
    environ = dict(bus)
    if way == "dbus-python":
        environ |= {"PATH": str(tmp_path), "PYTHONPATH": SYSTEM_PACKAGES}
        need_dbus_python(sys.executable, environ)
    started = time.monotonic()
    expected = Delivery(shown=False, why="no answer from the desktop within 1 s")
    assert send(environ, "Sentinel", "hello", deadline=1.0) == expected
    assert time.monotonic() - started < 15  # plyer alone: 25 s, or over 60 s
    assert relatives(bus) == {hung}


def test_a_hung_server_does_not_hold_the_agent_up(bus, hung):
    async def beats() -> int:
        notifier = Notifier(deadline=1.0, environ=bus)
        send = asyncio.create_task(notifier.send("Sentinel", "hello"))
        count = 0
        while not send.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(beats()) > 10  # a loop that was blocked would have counted to 1
