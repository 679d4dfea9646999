"""A popup with buttons, and a worker that says what it likes.

The worker is a stand-in: the real one always behaves. It is tried with real services in
tests/real/test_buttons.py.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import psutil
import pytest

from sentinel.core.buttons import Button
from sentinel.notify import Delivery, Message, Notifier, delivery, popup
from sentinel.notify.desktop import Desktop

WORKER = """
import json, os, select, sys, time
def say(**line): os.write(2, json.dumps(line).encode() + b"\\n")
def closed(seconds=60):
    poll = select.poll(); poll.register(0, 0)
    return bool(poll.poll(1000 * seconds))
job = json.load(sys.stdin)
waits = {"by": "D-Bus", "id": 7, "waits": True}
"""
BUTTONS = (Button.WHY, Button.PAUSE)
ASKED = Message("Sentinel cleaned up", "hello", buttons=BUTTONS)
SHOWN = Delivery(shown=True, by="desktop (D-Bus)", mark=7)
SILENCE = 0.3
"""Seconds in which nothing comes any more that was to come."""


@pytest.fixture
def workers():
    """Asks which processes have been started since, and not reaped: other tests run beside these."""
    others = set(psutil.Process().children())
    return lambda: [child.pid for child in psutil.Process().children() if child not in others]


@pytest.fixture
def play(machine, monkeypatch, workers):
    """Run a scenario with a notifier whose worker is this script; afterwards nothing of it may be left."""

    def play(script, scenario):
        monkeypatch.setattr(delivery, "COMMAND", (sys.executable, "-c", WORKER + script))

        async def run():
            asked = Notifier([Desktop(deadline=30, environ=machine.environ)])
            await asked.send(Message("Sentinel", "the first one, for what asyncio opens once"))
            before, threads, heard = len(os.listdir("/proc/self/fd")), threading.active_count(), []
            try:
                await scenario(asked, heard)
            finally:
                await asked.close()
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1
            assert len(os.listdir("/proc/self/fd")) == before
            async with asyncio.timeout(20):
                while threading.active_count() > threads or workers():
                    await asyncio.sleep(0.01)
            return heard

        return asyncio.run(run())

    return play


async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def shown(asked, heard, message=ASKED):
    """Show a popup and write down what is pressed on it."""
    told = await asked.send(message)
    assert told == SHOWN
    told.popup.listen(heard.append)
    return told.popup


def ends(popup):
    return popup._ours.fileno() < 0 and popup._worker.returncode is not None


def heard_of(play, script):
    """What is heard until the popup is over."""

    async def scenario(asked, heard):
        it = await shown(asked, heard)
        await until(lambda: ends(it))

    return play(f"if job['buttons']:\n    {script}", scenario)


@pytest.mark.parametrize(
    ("script", "pressed"),
    [
        ("say(**waits); say(pressed='pause')", [Button.PAUSE]),
        ('say(**waits); os.write(2, b\'{"pressed": "pause"}\\n{"pressed": "why"}\\n\')', [Button.PAUSE]),
        ("say(**waits); say(pressed='format the disk'); say(pressed='why')", [Button.WHY]),
        ("say(**waits); say(pressed='undo')", []),  # it is not on this popup
        ("say(**waits); os.write(2, b'\\xff{]\\n' + b'[' * 3000 + b'\\n'); say(pressed='why')", [Button.WHY]),
        ("say(**waits); os.write(2, b'x' * 5000); say(pressed='why')", []),  # more than a worker may say
        ('say(**waits); os.write(2, b\'{"pressed": "why"}\')', []),  # half a line
        ("say(**waits); os._exit(1)", []),
        ("say(**waits); os.abort()", []),
    ],
)
def test_only_the_first_word_about_a_button_of_this_popup_counts(play, script, pressed):
    assert heard_of(play, script) == pressed


def test_while_it_waits_there_is_one_reader_and_one_process_and_no_task(play, workers):
    async def scenario(asked, heard):
        before = len(os.listdir("/proc/self/fd"))
        it = await shown(asked, heard)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        # Our end of the socket, and a pidfd where no thread waits for the worker, as in Python before 3.12.
        assert len(os.listdir("/proc/self/fd")) - before <= 2
        assert workers() == [it._worker.pid]

    play("if job['buttons']:\n    say(**waits); closed()", scenario)


def test_what_nobody_listens_to_waits_until_somebody_does(play):
    async def scenario(asked, heard):
        told = await asked.send(ASKED)
        await asyncio.sleep(SILENCE)
        assert heard == []
        told.popup.listen(heard.append)
        await until(lambda: heard)

    assert play("if job['buttons']:\n    say(**waits); say(pressed='why')", scenario) == [Button.WHY]


def test_who_listens_to_a_popup_that_is_over_hears_nothing(play):
    """The next one may have come before whoever asked for this one was told that it is there."""

    async def scenario(asked, heard):
        told = await asked.send(ASKED)
        await told.popup.close()
        told.popup.listen(heard.append)

    assert play("if job['buttons']:\n    say(**waits); closed()", scenario) == []


def test_one_popup_waits_at_a_time_and_the_next_one_ends_that(play, workers, tmp_path):
    """It has the time to take its buttons away, unless the next one takes its place."""
    said = tmp_path / "said"

    async def scenario(asked, heard):
        for replaces in (False, True):
            it = await shown(asked, heard)
            await shown(asked, heard, Message("Sentinel", "the next", buttons=BUTTONS, replaces=replaces))
            assert ends(it)
            assert len(workers()) == 1

    play(f"if job['buttons']:\n    say(**waits); closed(); open({str(said)!r}, 'a').write(job['body'] + ' ')", scenario)
    assert said.read_text() == "hello the next the next "  # the third, "hello" again, was replaced


def test_closing_ends_a_worker_that_does_not_react(play, monkeypatch):
    monkeypatch.setattr(popup, "FAREWELL", 0.1)
    began = time.monotonic()

    async def scenario(asked, heard):
        await shown(asked, heard)

    play("if job['buttons']:\n    say(**waits); time.sleep(600)", scenario)
    assert time.monotonic() - began < 60


def test_a_worker_that_never_says_that_it_waits_is_ended_at_the_deadline(machine, monkeypatch, workers):
    script = WORKER + "os.write(2, b'x' * 9000); time.sleep(600)"
    monkeypatch.setattr(delivery, "COMMAND", (sys.executable, "-c", script))

    async def run():
        return await Notifier([Desktop(deadline=1.0, environ=machine.environ)]).send(ASKED)

    assert asyncio.run(run()).why == "no answer from the desktop within 1 s"
    assert workers() == []


def test_by_a_way_without_buttons_it_is_shown_as_ever_whatever_that_leaves_behind(machine):
    machine.notify_send(
        "import subprocess; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "open(sys.argv[0] + '.pid', 'w').write(str(p.pid))"
    )

    async def run():
        return await Notifier([Desktop(deadline=30, environ=machine.environ)]).send(ASKED)

    try:
        told = asyncio.run(run())
        assert (told, told.popup) == (Delivery(shown=True, by="desktop (notify-send)"), None)
        assert len(machine.told) == 1
    finally:
        psutil.Process(int((machine.root / "bin" / "notify-send.pid").read_text())).kill()


def test_where_there_are_no_buttons_nothing_waits(play):
    async def scenario(asked, heard):
        told = await asked.send(ASKED)
        assert told == SHOWN
        assert told.popup is None

    play("say(by='D-Bus', id=7, waits=False)", scenario)
