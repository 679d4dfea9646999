"""The macOS process source against a stand-in: there is no kqueue here to be real with.

The stand-in keeps what kqueue(2) and XNU's kern_event.c say: one registration for a number
and filter, changed by adding it again; events of a registration melt into one until they
are fetched; an end is the last event and takes the registration along; whoever has ended
cannot be registered; the status of strangers may be refused.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from dataclasses import dataclass, field

import pytest

from sentinel.core.events import LookDue, ProcessExecuted, ProcessExited, SourceDegraded
from sentinel.core.facts import ProcessId
from sentinel.errors import SourceUnavailable
from sentinel.sources import kqueue as module
from sentinel.sources.kqueue import KqueueSource

EXIT, FORK, EXEC, EXITSTATUS = 0x80000000, 0x40000000, 0x20000000, 0x04000000
PROC, ADD, DELETE, ONESHOT, CLEAR, EOF = -5, 0x1, 0x2, 0x10, 0x20, 0x8000
SH = ProcessId(100, 1)


@dataclass
class Kevent:
    ident: int
    filter: int
    flags: int = ADD
    fflags: int = 0
    data: int = 0
    udata: int = 0


@dataclass
class Knote:
    bearer: ProcessId
    wishes: int
    udata: int
    fired: int = 0
    data: int = 0


@dataclass
class Kernel:
    """Processes, and the registrations of one queue. A pipe makes the queue readable."""

    living: dict[int, ProcessId] = field(default_factory=dict)
    knotes: dict[int, Knote] = field(default_factory=dict)
    strangers: set[int] = field(default_factory=set)
    fails: int = 0
    fetches: int = 0
    closed: bool = False

    def __post_init__(self):
        self.readable, self.writable = os.pipe()

    def bear(self, who):
        self.living[who.pid] = who

    def happen(self, pid, note, status=0):
        bearer = self.living[pid]
        if note == EXIT:
            del self.living[pid]
        knote = self.knotes.get(pid)
        if knote is None or knote.bearer != bearer or not knote.wishes & note:
            return
        if not knote.fired:
            os.write(self.writable, b"!")
        knote.fired |= note
        if note == EXIT and knote.wishes & EXITSTATUS:
            knote.fired |= EXITSTATUS
            knote.data = status

    # -- what the source calls -----------------------------------------------------

    def fileno(self):
        return self.readable

    def control(self, changes, max_events, timeout=None):
        assert timeout == 0, "the loop must not be held up"
        for change in changes or ():
            assert max_events == 0, "else the error would be an event"
            self.change(change)
        self.fetches += max_events > 0
        fired = [(pid, knote) for pid, knote in self.knotes.items() if knote.fired][:max_events]
        events = []
        for pid, knote in fired:
            os.read(self.readable, 1)
            flags = CLEAR
            if knote.fired & EXIT:
                flags |= EOF | ONESHOT
                del self.knotes[pid]
            events.append(Kevent(pid, PROC, flags, knote.fired, knote.data, knote.udata))
            knote.fired = 0
        return events

    def change(self, change):
        assert change.filter == PROC
        pid, knote = change.ident, self.knotes.get(change.ident)
        if change.flags & DELETE:
            if knote is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            if knote.fired:
                os.read(self.readable, 1)
            del self.knotes[pid]
            return
        assert change.flags & ADD
        if self.fails:
            raise OSError(self.fails, os.strerror(self.fails))
        if knote is not None:  # found by its number, whoever it belongs to
            knote.wishes, knote.udata = change.fflags, change.udata
            return
        if pid not in self.living:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        if change.fflags & EXITSTATUS and pid in self.strangers:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.knotes[pid] = Knote(self.living[pid], change.fflags, change.udata)

    def close(self):
        assert not self.closed
        self.closed = True
        os.close(self.readable)
        os.close(self.writable)


class Heard:
    """Stands in for the bus: keeps what is published, and lets a test answer at once."""

    def __init__(self):
        self.events = []
        self.answer = lambda event: None

    def publish(self, event):
        self.events.append(event)
        self.answer(event)

    def taken(self):
        events, self.events = self.events, []
        return events


class Room:
    def __init__(self, loop):
        self.kernel, self.heard, self.caught_up = Kernel(), Heard(), 0
        self.source = KqueueSource(self.heard, self.catch_up, lambda: self.kernel, Kevent)
        self.source.open()
        self.source.start(loop)

    def catch_up(self):
        self.caught_up += 1
        self.heard.events.append("caught up")


def in_a_room(scenario):
    """Run the test's body with a source whose loop runs."""

    def test():
        async def run():
            room = Room(asyncio.get_running_loop())
            room.kernel.bear(SH)
            try:
                await scenario(room)
            finally:
                if not room.kernel.closed:
                    room.source.close()

        asyncio.run(run())

    test.__name__ = scenario.__name__
    return test


async def turn():
    """Let the loop see that the queue is readable."""
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)


@in_a_room
async def test_an_end_is_told_once_with_its_status_after_catching_up(room):
    assert room.source.watch(SH)
    assert room.source.watch(SH)
    await turn()
    assert room.heard.taken() == []
    room.kernel.happen(SH.pid, EXIT, signal.SIGKILL)
    await turn()
    before, exited = room.heard.taken()
    assert before == "caught up"
    assert isinstance(exited, ProcessExited)
    assert (exited.pid, exited.death.signal) == (SH.pid, signal.SIGKILL)
    await turn()
    assert room.heard.taken() == []


@in_a_room
async def test_an_exit_code_is_told_and_details_of_the_end_are_not_taken_for_it(room):
    room.source.watch(SH)
    room.kernel.happen(SH.pid, EXIT, 3 << 8 | 0x50000)  # NOTE_EXIT_MEMORY and such stand above
    await turn()
    assert room.heard.taken()[-1].death.status == 3 << 8


@in_a_room
async def test_who_has_already_ended_is_told_at_once(room):
    gone = ProcessId(7, 1)
    assert room.source.watch(gone)
    assert room.heard.events[0] == "caught up"
    assert room.heard.events[1].pid == gone.pid
    assert room.heard.events[1].death.status is None


@in_a_room
async def test_a_stranger_is_watched_without_its_status(room):
    room.kernel.strangers.add(SH.pid)
    assert room.source.watch(SH)
    room.kernel.happen(SH.pid, EXIT, 9)
    await turn()
    assert room.heard.taken()[-1].death.status is None


@in_a_room
async def test_what_was_forgotten_is_not_told_even_if_it_was_in_the_queue(room):
    room.source.watch(SH)
    room.kernel.happen(SH.pid, EXIT)
    room.source.forget(SH)
    room.source.forget(SH)
    assert room.kernel.knotes == {}
    await turn()
    assert room.heard.taken() == []


@in_a_room
async def test_an_exec_is_told_before_the_end(room):
    room.source.watch(SH)
    room.kernel.happen(SH.pid, EXEC)
    room.kernel.happen(SH.pid, EXIT)
    await turn()
    assert [type(event) for event in room.heard.taken()] == [ProcessExecuted, str, ProcessExited]


@in_a_room
async def test_forks_are_one_look_now_and_one_when_the_pause_is_over(room):
    room.source.watch(SH)
    for _ in range(50):
        room.kernel.happen(SH.pid, FORK)
        room.source.drain()
    assert 1 <= len(room.heard.events) <= 5  # 1, unless the machine stands still
    for _ in range(1000):
        if room.source._look is None:
            break
        await asyncio.sleep(0.01)
    events = room.heard.taken()
    assert len(events) >= 2
    assert {type(event) for event in events} == {LookDue}
    await asyncio.sleep(module._FORK_PAUSE + 0.1)
    assert room.heard.taken() == []


@in_a_room
async def test_no_parent_is_written_off_before_its_children_were_looked_for(room):
    make = ProcessId(200, 1)
    room.kernel.bear(make)
    room.source.watch(SH)
    room.source.watch(make)
    room.kernel.happen(SH.pid, FORK)
    await turn()
    assert [type(event) for event in room.heard.taken()] == [LookDue]
    room.kernel.happen(SH.pid, EXIT)
    room.kernel.happen(make.pid, FORK)
    room.source.drain()
    assert [type(event) for event in room.heard.taken()] == [LookDue, str, ProcessExited]
    assert room.source._look is None


@in_a_room
async def test_the_end_of_a_numbers_former_bearer_is_not_its_successors(room):
    room.source.watch(SH)
    room.kernel.happen(SH.pid, EXIT, 9)
    heir = ProcessId(SH.pid, 2)
    room.kernel.bear(heir)
    assert room.source.watch(heir)
    await turn()
    assert [event.death.signal for event in room.heard.taken() if isinstance(event, ProcessExited)] == [9]
    room.kernel.happen(heir.pid, EXIT, 3 << 8)
    await turn()
    assert [event.death.code for event in room.heard.taken() if isinstance(event, ProcessExited)] == [3]


@in_a_room
async def test_an_event_that_was_fetched_already_is_not_given_to_the_numbers_next_bearer(room):
    make, heir = ProcessId(200, 1), ProcessId(200, 2)
    room.kernel.bear(make)
    room.source.watch(SH)
    room.source.watch(make)
    room.kernel.happen(SH.pid, EXIT)
    room.kernel.happen(make.pid, EXIT)

    def answer(event):
        if isinstance(event, ProcessExited) and event.pid == SH.pid:
            room.kernel.bear(heir)
            room.source.watch(heir)

    room.heard.answer = answer
    room.source.drain()
    assert heir.pid not in [event.pid for event in room.heard.taken() if isinstance(event, ProcessExited)]
    room.kernel.happen(heir.pid, EXIT)
    await turn()
    assert room.heard.taken()[-1].pid == heir.pid


@in_a_room
async def test_more_ends_than_one_fetch_holds_are_all_told(room):
    crowd = [ProcessId(1000 + number, 1) for number in range(600)]
    for who in crowd:
        room.kernel.bear(who)
        assert room.source.watch(who)
    for who in crowd:
        room.kernel.happen(who.pid, EXIT)
    room.source.drain()
    assert len([event for event in room.heard.taken() if isinstance(event, ProcessExited)]) == 600
    assert room.kernel.fetches == 3


@in_a_room
async def test_a_refused_registration_is_said_once(room):
    room.kernel.fails = errno.ENOMEM
    assert not room.source.watch(SH)
    assert not room.source.watch(SH)
    assert [type(event) for event in room.heard.taken()] == [SourceDegraded]
    room.kernel.fails = 0
    assert room.source.watch(SH)


@in_a_room
async def test_closing_gives_the_queue_back_and_tells_nothing_more(room):
    room.source.watch(SH)
    room.kernel.happen(SH.pid, FORK)
    room.source.drain()
    room.kernel.happen(SH.pid, FORK)
    room.source.drain()
    assert room.source._look is not None
    room.heard.taken()
    room.source.close()
    room.source.close()
    assert room.kernel.closed
    assert not room.source.watch(SH)
    room.source.drain()
    await asyncio.sleep(module._FORK_PAUSE + 0.1)
    assert room.heard.taken() == []


def test_a_handler_may_close_it_while_events_are_told():
    async def scenario():
        room = Room(asyncio.get_running_loop())
        make = ProcessId(200, 1)
        for who in (SH, make):
            room.kernel.bear(who)
            room.source.watch(who)
            room.kernel.happen(who.pid, EXIT)
        room.heard.answer = lambda event: room.source.close() if isinstance(event, ProcessExited) else None
        room.source.drain()
        assert [event.pid for event in room.heard.taken() if isinstance(event, ProcessExited)] == [SH.pid]

    asyncio.run(scenario())


@pytest.mark.skipif(hasattr(__import__("select"), "kqueue"), reason="missing: a kernel without kqueue")
def test_without_a_kqueue_the_next_source_is_tried():
    with pytest.raises(SourceUnavailable, match="no kqueue"):
        KqueueSource(Heard(), lambda: None).open()


def test_a_kernel_that_gives_no_queue_is_not_a_crash():
    def none_left():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(SourceUnavailable, match="Too many open files"):
        KqueueSource(Heard(), lambda: None, none_left, Kevent).open()


def test_the_numbers_are_those_of_the_kernel():
    numbers = (module._FILTER_PROC, module._ADD, module._DELETE, module._CLEAR)
    assert numbers == (PROC, ADD, DELETE, CLEAR)
    assert (module._NOTE_EXIT, module._NOTE_FORK, module._NOTE_EXEC) == (EXIT, FORK, EXEC)
    if sys.platform == "darwin":
        assert module._NOTE_EXITSTATUS == EXITSTATUS
