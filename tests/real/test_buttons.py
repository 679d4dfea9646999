"""Buttons of popups: real services, services that misbehave, and the real agent at a desktop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from sentinel.core.buttons import Button
from sentinel.notify import Message, Notifier, delivery
from sentinel.notify.desktop import Desktop as Way
from sentinel.notify_worker import MOST_SIGNALS
from tests.lab.desktop import choose, need, offered, raised
from tests.lab.stage import PATIENCE, alive, interpreter, until
from tests.real.conftest import settled, write

pytestmark = pytest.mark.real

ASKED = Message("Sentinel cleaned up", "hello", buttons=tuple(Button))
SILENCE = 0.3
"""Seconds in which nothing comes any more that was to come."""


async def eventually(true):
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


def over(popup):
    return popup._ours.fileno() < 0 and popup._worker.returncode is not None


def shown(environ, scenario, message=ASKED):
    """Show a popup with buttons and play on: ``scenario(notifier, popup, heard)``. Returns what was heard."""
    heard = []

    async def run():
        asked = Notifier([Way(deadline=30, environ=environ)])
        told = await asked.send(message)
        assert told.popup is not None, told
        told.popup.listen(heard.append)
        try:
            await scenario(asked, told.popup, heard)
        finally:
            await asked.close()
        assert over(told.popup)

    asyncio.run(run())
    return heard


# -- real services ---------------------------------------------------------------------


@pytest.mark.parametrize("button", Button)
def test_each_button_is_heard(desktop, button):
    async def scenario(_, popup, heard):
        await asyncio.to_thread(desktop.press, button.label)
        await eventually(lambda: over(popup))

    assert shown(desktop.environ, scenario) == [button]
    desktop.history()


def test_buttons_that_nobody_hears_any_more_are_taken_away_and_the_text_stays(desktop):
    before = len(desktop.history())

    async def close(asked, popup, heard):
        await asked.close()

    async def look(asked, popup, heard):
        listed = await asyncio.to_thread(desktop.press, "none of these")
        assert [line.partition(" (")[0] for line in listed.splitlines() if line.startswith("#")] == ["#Why"]

    assert shown(desktop.environ, close) == []
    assert shown(desktop.environ, look, Message("Sentinel", "one with a button", buttons=(Button.WHY,))) == []
    assert {popup[2] for popup in desktop.popups()[: -before or None]} == {"one with a button", "hello"}


OTHERS = {
    "xfce4-notifyd": ("*/xfce4/notifyd/xfce4-notifyd", "xfce4-notifyd", (0.19, 31)),
    "notification-daemon": ("notification-daemon/notification-daemon", "Notification", (0.46, 39)),
}
"""Where it is, the name of its popup, and where the first button is there: share of the width, pixels from below."""


@pytest.mark.parametrize("service", OTHERS)
def test_a_click_on_a_button_of_other_services_is_heard(tmp_path, service):
    need("Xvfb", "xdotool", "dbus-run-session")
    pattern, name, (across, up) = OTHERS[service]
    [program] = list(Path("/usr/lib").glob(pattern)) or [""]
    if not program:
        pytest.skip(f"missing: {service}")

    def click(environ):
        def xdotool(*words):
            return subprocess.run(["xdotool", *words], env=environ, capture_output=True, text=True, check=False).stdout

        for window in xdotool("search", "--onlyvisible", "--name", name).split():
            size = dict(row.split("=") for row in xdotool("getwindowgeometry", "--shell", window).split())
            if size:  # it is still there
                at = str(int(across * int(size["WIDTH"]))), str(int(size["HEIGHT"]) - up)
                xdotool("mousemove", "--window", window, *at, "click", "1")

    with raised(tmp_path, str(program)) as environ:

        async def scenario(_, popup, heard):
            async with asyncio.timeout(PATIENCE):
                while not over(popup):
                    await asyncio.to_thread(click, environ)
                    await asyncio.sleep(SILENCE)  # it comes sliding: a click may miss it

        assert shown(environ, scenario) == [Button.WHY]


# -- services that misbehave -----------------------------------------------------------

SERVICE = """
import json, os, signal, sys, time
from jeepney import DBusAddress, HeaderFields, message_bus, new_error, new_method_return, new_signal
from jeepney.io.blocking import open_dbus_connection

NAME, PATH = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
bus = open_dbus_connection(os.environ["DBUS_SESSION_BUS_ADDRESS"])

def tell(connection, member, signature, *words, to=None):
    message = new_signal(DBusAddress(PATH, interface=NAME), member, signature, words)
    if to:
        message.header.fields[HeaderFields.destination] = to
    connection.send(message)

def press(mark=7, key="why"):
    tell(bus, "ActionInvoked", "us", mark, key)

def then(client):
    {then}

capabilities = ["body", "actions"]
{before}
bus.send_and_get_reply(message_bus.RequestName(NAME))
print("owned", flush=True)
while True:
    call = bus.receive()
    match call.header.fields.get(HeaderFields.member):
        case "GetCapabilities":
            bus.send(new_method_return(call, "as", (capabilities,)) if capabilities else new_error(call, "no.such"))
        case "Notify":
            _, replaces, _, _, text, actions, hints, _ = call.body
            with open("calls", "a") as calls:
                calls.write(json.dumps([replaces, text, actions, hints["urgency"][1]]) + "\\n")
            bus.send(new_method_return(call, "u", (7,)))
            if actions:
                then(call.header.fields[HeaderFields.sender])
"""


@pytest.fixture
def service(bus, tmp_path):
    """Start a service of ours on the bus: what it does once it has shown a popup with buttons, and before."""

    @contextmanager
    def start(then="pass", before=""):
        environ = bus | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus"}
        script = SERVICE.replace("{then}", then).replace("{before}", before)
        command = [sys.executable, "-c", script]
        with subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout.readline() == b"owned\n"
                process.calls = lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
                yield process
            finally:
                process.kill()

    return start


async def is_over(_, popup, heard):
    await eventually(lambda: over(popup))


WITH = ["hello", ["why", "Why", "pause", "Pause 1 h", "undo", "Undo"], 1]
WITHOUT = ["hello", [], 0]
SHOWN, TAKEN_AWAY = [0, *WITH], [7, *WITHOUT]


@pytest.mark.parametrize(
    ("then", "heard"),
    [
        ("press()", [Button.WHY]),
        ("press(key='pause'); press(key='pause'); press(key='undo')", [Button.PAUSE]),
        ("press(key='default'); press(key='rm -rf'); press(8); press(key='undo')", [Button.UNDO]),
        ("[press(n) for n in range(100, 2_100)]; press()", [Button.WHY]),
        ("tell(bus, 'ActionInvoked', 's', 'why'); tell(bus, 'ActionInvoked', '')\n    press()", [Button.WHY]),
        ("tell(bus, 'NotificationClosed', 'uu', 8, 2); tell(bus, 'NotificationClosed', 'uu', 7, 2); press()", []),
        ("os._exit(0)", []),
    ],
)
def test_what_counts_is_the_first_press_of_a_button_of_this_popup(bus, service, then, heard):
    with service(then) as process:
        assert shown(bus, is_over) == heard
        assert process.calls() == [SHOWN]


FORGE = """
other = open_dbus_connection(os.environ["DBUS_SESSION_BUS_ADDRESS"])
"""
FORGED = """tell(other, "ActionInvoked", "us", 7, "undo"); tell(other, "ActionInvoked", "us", 7, "undo", to=client)
    tell(other, "NotificationClosed", "uu", 7, 2, to=client)
    tell(other, "NameOwnerChanged", "sss", NAME, bus.unique_name, "", to=client)
    time.sleep(0.2); press()
"""


def test_what_somebody_else_sends_in_the_service_s_name_is_not_heard(bus, service):
    with service(FORGED, FORGE):
        assert shown(bus, is_over) == [Button.WHY]


@pytest.mark.parametrize(
    "capabilities", ["capabilities.remove('actions')", "capabilities = []"], ids=["none", "it cannot say"]
)
def test_a_service_without_buttons_is_given_none_and_nobody_waits(bus, service, capabilities):
    async def run():
        told = await Notifier([Way(deadline=30, environ=bus)]).send(ASKED)
        assert (told.shown, told.mark, told.popup) == (True, 7, None)

    with service(before=capabilities) as process:
        asyncio.run(run())
        assert process.calls() == [[0, "hello", [], 1]]


def test_a_popup_that_has_been_there_for_its_time_loses_its_buttons_in_silence(bus, service, monkeypatch):
    monkeypatch.setattr(delivery, "EPISODE", SILENCE)
    with service() as process:
        assert shown(bus, is_over) == []
        assert process.calls() == [SHOWN, TAKEN_AWAY]


def test_a_service_that_never_stops_telling_is_left_alone_after_a_while(bus, service):
    with service(f"[press(8) for _ in range({MOST_SIGNALS} + 1000)]") as process:
        assert shown(bus, is_over) == []
        assert process.calls() == [SHOWN, TAKEN_AWAY]


def test_a_service_that_hangs_while_a_popup_waits_holds_nobody_up(bus, service):
    async def scenario(asked, popup, heard):
        before = time.process_time(), sum(psutil.Process(popup._worker.pid).cpu_times()[:2])
        await asyncio.sleep(1)
        assert time.process_time() - before[0] < 0.5  # nothing spins, here or there
        assert sum(psutil.Process(popup._worker.pid).cpu_times()[:2]) - before[1] < 0.1
        began = time.monotonic()
        await asked.close()
        assert time.monotonic() - began < PATIENCE

    with service("os.kill(os.getpid(), signal.SIGSTOP)"):
        assert shown(bus, scenario) == []


AGENT = """
import asyncio
from sentinel.core.buttons import Button
from sentinel.notify import Message, Notifier
from sentinel.notify.desktop import Desktop

async def main():
    told = await Notifier([Desktop(deadline=30)]).send(Message("Sentinel", "hello", buttons=tuple(Button)))
    print(told.popup._worker.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_when_the_agent_is_killed_the_worker_takes_the_buttons_away_and_ends(bus, service):
    with (
        service() as process,
        subprocess.Popen([sys.executable, "-c", AGENT], env=bus, stdout=subprocess.PIPE) as agent,
    ):
        worker = int(agent.stdout.readline())
        agent.kill()
        until(lambda: not alive(worker), "the worker's end")
        assert process.calls() == [SHOWN, TAKEN_AWAY]


# -- the whole of it -------------------------------------------------------------------


@pytest.fixture
def source():
    """Who hears of deaths is all the same here."""
    return "connector"


def holdings(agent):
    """Descriptors and threads of the agent, and its children."""
    at = f"/proc/{agent.pid}"
    children = Path(f"{at}/task/{agent.pid}/children").read_text().split()
    return len(os.listdir(f"{at}/fd")), len(os.listdir(f"{at}/task")), children


def callers(stage):
    """Connections to the agent that it has not closed yet."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()]
    return [row for row in rows if row[5] == "03" and row[7:] == [str(stage.home / "runtime" / "inbox.sock")]]


def press(stage, lab, label):
    choose(lab, label)
    stage.run("dunstctl", "context")
    return offered(lab)


def told(stage, number):
    return until(lambda: len(found := stage.journal("notification.sent")) >= number and found[-1], "the notification")


def chain(stage, *types):
    """Each of these records, which has the one before it as its cause."""
    found = [stage.journal(kind)[-1] for kind in types]
    assert [record["cause"] for record in found[1:]] == [record["seq"] for record in found[:-1]]
    return found


def a_death(stage, name="api"):
    """A session dies and leaves something to end."""
    child = f"{name}-child"
    stage.start_run(name, f"sleep 600 & {write(child)}; sleep 600")
    stage_root = stage.watched(name)["pid"]
    settled(stage, child, session=name)
    stage.kill(stage_root)


def test_a_death_is_told_and_from_the_popup_the_reason_asked_and_sentinel_paused(stage, sitting):
    agent = stage.agent("-q")
    until(lambda: not callers(stage), "the end of the last one's connection that asked for its status")
    before = holdings(agent)
    a_death(stage)
    popup = told(stage, 1)
    descriptors, threads, children = holdings(agent)
    assert threads == before[1]
    assert len(children) == 1  # it waits
    assert descriptors <= before[0] + 2

    assert "#Undo (" not in press(stage, sitting, "Why")  # nothing was removed
    why = told(stage, 2)["data"]["text"].split("\\x0a")
    assert why[0].startswith("sleep (")
    assert "owned by" in why[0]
    assert why[-1].startswith("sentinel explain api-")
    chain(stage, "session.died", "cleanup.done")
    pressed, _ = chain(stage, "notification.pressed", "notification.sent")
    assert (pressed["cause"], pressed["data"]["button"]) == (popup["seq"], "why")

    menu = press(stage, sitting, "Pause 1 h")
    assert "#Why (" not in menu
    answer = told(stage, 3)
    assert answer["data"]["text"].startswith("Nothing is ended until ")
    assert answer["data"]["text"].endswith("\\x0asentinel resume")
    chain(stage, "notification.pressed", "switch.paused")
    state = json.loads(stage.sentinel("status", "--json").stdout)
    assert state["held"] == "a person has paused Sentinel"
    assert 3500 < state["held_until"] - time.time() <= 3600
    assert '"Pause 1 h" was pressed on a notification' in stage.sentinel("events").stdout
    until(lambda: holdings(agent) == before, "the agent being as it was before")

    a_death(stage, "web")
    assert {outcome["result"] for outcome in stage.record("cleanup.done", "web")["data"]["outcomes"]} == {"held"}
    assert stage.journal("handler.failed") == []


def test_who_tries_it_is_told_whether_a_press_was_heard(stage, sitting, terminal):
    here = terminal(*interpreter(), "notify", "--test")
    here.shows("press the button of the trial")
    press(stage, sitting, "Why")
    here.shows("it was pressed")


def test_a_lock_that_was_taken_away_comes_back_from_the_popup(stage, sitting):
    stage.run("mkdir", "-p", "shop/.git", "shop/run")
    stage.configure(f'[locks]\nwatch = ["{stage.home}/shop/run/*"]\n')
    stage.agent("-q")
    stage.start("sh", "-c", "cd shop && echo $$ > run/server.pid && echo $$ > ../pid && exec sleep 600")
    pid, lock = stage.pid("pid"), stage.home / "shop/run/server.pid"
    time.sleep(2.1)  # it is fresh no more
    stage.kill(pid)
    until(lambda: not lock.exists(), "the lock's end")
    told(stage, 1)
    assert "#Undo (" in press(stage, sitting, "Undo")
    assert told(stage, 2)["data"]["text"] == "~/shop/run/server.pid is there again."
    assert lock.read_text() == f"{pid}\n"
    chain(stage, "notification.pressed", "file.returned")
    time.sleep(1.0)
    assert lock.exists()
    assert stage.journal("handler.failed") == []


def test_an_agent_that_is_stopped_with_a_popup_on_the_screen_is_out_in_time_and_leaves_nothing(stage, sitting):
    agent = stage.agent("-q")
    a_death(stage)
    told(stage, 1)
    [worker] = holdings(agent)[2]
    began = time.monotonic()
    stage.kill(agent.pid, signal.SIGTERM)
    assert agent.wait(timeout=60) == 0
    assert time.monotonic() - began < 2 + PATIENCE / 5  # the promise is 2 s; the rest is the machine's
    assert not Path(f"/proc/{worker}").exists()
    stage.start("notify-send", "--action=other=Other", "a popup of somebody else's")
    until(lambda: stage.run("dunstctl", "count", "displayed").stdout == "2\n", "the other popup")
    assert "#Why (" not in press(stage, sitting, "none of these")  # no button stays that nobody hears
