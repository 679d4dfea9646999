from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import psutil

from sentinel.core.events import ProcessExecuted, ProcessExited, ProcessForked, SourceDegraded
from sentinel.sources.polling import Polling, _parents_first


class Heard:
    def __init__(self):
        self.events = []

    def publish(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if type(event) is kind]


def test_a_sample_shows_who_was_born_and_who_ended():
    heard = Heard()
    watched = {os.getpid()}
    source = Polling(heard, watched, 60)
    source.open()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        source.drain()
        watched.add(process.pid)
        process.stdin.close()
    source.drain()
    assert [(e.parent, e.child) for e in heard.of(ProcessForked)] == [(os.getpid(), process.pid)]
    assert process.pid in {e.pid for e in heard.of(ProcessExecuted)}
    assert [e.pid for e in heard.of(ProcessExited)] == [process.pid]


def test_one_that_nobody_owned_at_first_is_told_of_once_its_parent_is_watched():
    """As when it is the last of a double fork, whose middle one ended while the sample was taken."""
    heard = Heard()
    watched = set()
    source = Polling(heard, watched, 60)
    source.open()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        source.drain()
        assert not heard.of(ProcessForked)
        watched.add(os.getpid())
        source.drain()
        watched.add(process.pid)
        source.drain()
        process.stdin.close()
    assert [(e.parent, e.child) for e in heard.of(ProcessForked)] == [(os.getpid(), process.pid)]


def test_what_lived_before_is_not_taken_for_newborn():
    heard = Heard()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        source = Polling(heard, {os.getpid()}, 60)
        source.open()
        source.drain()
        process.stdin.close()
    assert not heard.of(ProcessForked)


def test_grandchildren_of_one_sample_come_after_their_parents():
    heard = Heard()

    class Everybody:
        def __contains__(self, pid):
            return True

    source = Polling(heard, Everybody(), 60)
    source.open()
    code = "import subprocess; p = subprocess.Popen(['/bin/cat'], stdin=0); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        grandchild = int(process.stdout.readline())
        source.drain()
        process.stdin.close()
    order = [event.child for event in heard.of(ProcessForked)]
    assert order.index(process.pid) < order.index(grandchild)


def test_parents_first_for_any_order():
    parents = {30: 20, 20: 10, 10: 1, 40: 10, 50: 30}
    for pids in ([30, 20, 10, 40, 50], [50, 40, 30, 20, 10], [10, 20, 30, 40, 50]):
        order = _parents_first({pid: parents[pid] for pid in pids})
        assert sorted(order) == sorted(parents)
        assert all(order.index(parents[pid]) < order.index(pid) for pid in order if parents[pid] in parents)


def test_a_circle_of_parents_ends():
    assert sorted(_parents_first({5: 6, 6: 5})) == [5, 6]


def test_the_young_are_looked_at_again_and_the_old_are_not():
    now = [100.0]
    heard = Heard()
    source = Polling(heard, (), 60, clock=lambda: now[0])
    source.open()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        for _ in range(3):
            source.drain()
            now[0] += 1.5
        count = sum(e.pid == process.pid for e in heard.of(ProcessExecuted))
        source.drain()
        process.stdin.close()
    assert count == 3
    assert sum(e.pid == process.pid for e in heard.of(ProcessExecuted)) == count


def test_a_sample_that_cannot_be_taken_is_said_once_and_nobody_has_ended(monkeypatch):
    heard = Heard()

    class Everybody:
        def __contains__(self, pid):
            return True

    source = Polling(heard, Everybody(), 60)
    source.open()

    def refuse():
        raise PermissionError(13, "no")

    monkeypatch.setattr(psutil, "pids", refuse)
    source.drain()
    source.drain()
    assert [type(event) for event in heard.events] == [SourceDegraded]


def test_samples_are_taken_by_the_clock_until_closed():
    async def scenario():
        heard = Heard()
        source = Polling(heard, {os.getpid()}, 0.02)
        source.open()
        source.start(asyncio.get_running_loop())
        process = await asyncio.create_subprocess_exec("/bin/cat", stdin=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not heard.of(ProcessForked):
            await asyncio.sleep(0.01)
        source.close()
        process.stdin.close()
        await process.wait()
        return [event.child for event in heard.of(ProcessForked)], process.pid

    children, pid = asyncio.run(scenario())
    assert children == [pid]
