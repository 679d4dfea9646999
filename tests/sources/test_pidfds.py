from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from sentinel.core.events import ProcessExited
from sentinel.core.facts import ProcessId
from sentinel.observe.handles import Handles
from sentinel.sources.pidfds import ExitWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


class Heard:
    def __init__(self):
        self.events = []

    def publish(self, event):
        self.events.append(event)

    async def told(self, count):
        async with asyncio.timeout(20):
            while len(self.events) < count:
                await asyncio.sleep(0.01)


def test_an_end_is_published_once_after_catching_up():
    async def scenario():
        heard, handles = Heard(), Handles()
        exits = ExitWatch(heard, handles, lambda: heard.events.append("caught up"))
        exits.start(asyncio.get_running_loop())
        process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
        who = handles.take(process.pid)
        assert exits.watch(who)
        assert exits.watch(who)
        await asyncio.sleep(0.05)
        assert heard.events == []
        process.communicate()
        await heard.told(2)
        await asyncio.sleep(0.1)
        handles.close()
        return heard.events, process.pid

    events, pid = asyncio.run(scenario())
    assert events[0] == "caught up"
    assert [type(event) for event in events[1:]] == [ProcessExited]
    assert events[1].pid == pid


def test_an_end_is_published_once_also_when_catching_up_fails():
    async def scenario():
        heard, handles, failures = Heard(), Handles(), []

        def fail():
            raise OSError("a test says so")

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))
        exits = ExitWatch(heard, handles, fail)
        exits.start(loop)
        process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
        exits.watch(handles.take(process.pid))
        process.communicate()
        await heard.told(1)
        await asyncio.sleep(0.05)
        handles.close()
        return heard.events, failures

    events, failures = asyncio.run(scenario())
    assert ([type(event) for event in events], failures) == ([ProcessExited], ["a test says so"])


def test_what_was_forgotten_is_not_published():
    async def scenario():
        heard, handles = Heard(), Handles()
        exits = ExitWatch(heard, handles, lambda: None)
        exits.start(asyncio.get_running_loop())
        process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
        who = handles.take(process.pid)
        exits.watch(who)
        exits.forget(who)
        exits.forget(who)
        handles.drop(who)
        process.communicate()
        await asyncio.sleep(0.05)
        exits.close()
        return heard.events

    assert asyncio.run(scenario()) == []


def test_without_a_handle_there_is_nothing_to_watch():
    async def scenario():
        exits = ExitWatch(Heard(), Handles(), lambda: None)
        exits.start(asyncio.get_running_loop())
        return exits.watch(ProcessId(1, 1))

    assert asyncio.run(scenario()) is False


def test_the_word_is_left_to_a_source_that_knows_more():
    async def scenario():
        heard, handles = Heard(), Handles()
        exits = ExitWatch(heard, handles, lambda: None, patience=1.0)
        exits.start(asyncio.get_running_loop())
        for forgotten in (True, False):
            process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
            who = handles.take(process.pid)
            exits.watch(who)
            process.communicate()
            await asyncio.sleep(0.05)
            assert heard.events == []
            if forgotten:
                exits.forget(who)
        await heard.told(1)
        await asyncio.sleep(0.1)
        handles.close()
        return [event.pid for event in heard.events], process.pid

    pids, last = asyncio.run(scenario())
    assert pids == [last]
