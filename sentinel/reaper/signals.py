"""The only room that signals.

Each signal goes through the handle that was verified, never to a number: the process that
was judged gets it, or nobody does. There is no group, no negative pid and no kill(1) here:
on Debian 12 ``kill -9 -PGID`` ends everything that one owns.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from sentinel.core.actions import Outcome, Reopen, Result, Terminate, Unstick
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.guards import Ourselves
from sentinel.core.verdicts import Absent, Condemned, ProcessVerdict, Spared
from sentinel.errors import JournalUnwritable
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.handles import HAS_PIDFD, Handles
from sentinel.reaper.staleness import Glimpse

Rejudge = Callable[[ProcessId], ProcessVerdict]
"""Judges one process anew. One look may serve all who are asked about at one moment."""
_KILL_PATIENCE = 2.0
"""Seconds to wait for the end after SIGKILL: a process with much memory takes a while, one
that the kernel holds in an uninterruptible wait may take for ever."""
_LOOK_EVERY = 0.02
"""Seconds between looks where there are no pidfds to wait on."""


@dataclass(slots=True)
class Strike:
    """An action that is under way: who is still awaited, and what is known of the others."""

    action: Terminate
    began: float
    intent: int = 0
    asked: bool = False
    """SIGTERM was sent to whoever was not settled by then."""
    grips: dict[ProcessId, int | None] = field(default_factory=dict)
    """The pidfds of those awaited; None where the system has none."""
    outcomes: dict[ProcessId, Outcome] = field(default_factory=dict)

    @classmethod
    def held(cls, action: Terminate, why: str, now: float) -> Self:
        """One in which nothing is sent, with its reason for each target. ``now`` is in monotonic seconds."""
        strike = cls(action, now)
        for target in action.targets:
            strike.settle(target.id, Result.HELD, why)
        return strike

    def settle(self, who: ProcessId, result: Result, reason: str = "") -> None:
        """Write down what became of one target, and let go of it."""
        if (fd := self.grips.pop(who, None)) is not None:
            os.close(fd)
        name = next((target.facts.name for target in self.action.targets if target.id == who), "")
        self.outcomes[who] = Outcome(str(who), result, reason, name)

    def awaited(self, grace: float) -> Terminate:
        """The same action for those that are still there."""
        left = tuple(target for target in self.action.targets if target.id in self.grips)
        return Terminate(self.action.session, left, grace)


class Signaller:
    """Ends processes, each through its own handle.

    Args:
        handles: Where the handles taken at birth are; missing ones are opened and verified.
        journal: Where the intent goes before the first signal.
        ourselves: Refused here once more, whatever was decided.
    """

    def __init__(self, handles: Handles, journal: Journal, ourselves: Ourselves) -> None:
        self._handles = handles
        self._journal = journal
        self._ourselves = ourselves

    def strike(self, action: Terminate, cause: int, looked: Glimpse) -> Strike:
        """Send SIGTERM to all targets, in order, at once. Does not wait.

        Nothing is sent when the intent cannot be recorded: then every outcome is a refusal. Nor when
        the look is too old by then: ``finish`` has them judged again first. That is no work for
        who answers an event: what the kernel told meanwhile would wait until the answer is given.

        Args:
            action: Whom to end.
            cause: ``seq`` of what led to it.
            looked: When the look was begun by which they were judged.
        """
        strike = Strike(action, time.monotonic())
        for target in action.targets:
            grip = self._grip(target.id)
            if isinstance(grip, Outcome):
                strike.settle(target.id, grip.result, grip.reason)
            else:
                strike.grips[target.id] = grip
        if strike.grips and self._announce(strike, strike.awaited(action.grace), cause) and not looked.is_stale:
            self._ask(strike)
        return strike

    def ask_late(self, strike: Strike, rejudge: Rejudge) -> None:
        """Judge again whom ``strike`` sent nothing, and send SIGTERM to who is still condemned."""
        if not strike.asked:
            _reconsider(strike, rejudge)
            self._ask(strike)

    async def finish(self, strike: Strike, look_again: Callable[[], Rejudge]) -> tuple[Outcome, ...]:
        """Wait out the grace, judge again what is left, kill it, and say what became of each.

        Args:
            strike: What is under way.
            look_again: Begins a new look, before each signal.
        """
        try:
            self.ask_late(strike, look_again())
            await _await_ends(strike, strike.action.grace, Result.ENDED)
            looked = Glimpse()
            _reconsider(strike, look_again())
            if strike.grips and self._announce(strike, strike.awaited(0.0), strike.intent):
                if looked.is_stale:
                    _reconsider(strike, look_again())
                self._send(strike, signal.SIGKILL)
                await _await_ends(strike, _KILL_PATIENCE, Result.KILLED)
        finally:  # also when it is broken off: nothing is held on to
            for who in list(strike.grips):
                strike.settle(who, Result.SURVIVED, "its end was not seen")
        return tuple(strike.outcomes[target.id] for target in strike.action.targets)

    def unstick(self, action: Unstick) -> Outcome:
        """Send SIGCHLD to a tmux server. It ends nothing: the default for SIGCHLD is to be ignored."""
        return self._heal(action.server, signal.SIGCHLD)

    def reopen(self, action: Reopen) -> Outcome:
        """Send SIGUSR1 to a tmux server. Whoever has no handler for that ends of it: so it is recorded before."""
        try:
            self._journal.intend(action)
        except JournalUnwritable as error:
            return Outcome(str(action.server), Result.REFUSED, f"nothing is signalled that cannot be recorded: {error}")
        return self._heal(action.server, signal.SIGUSR1)

    def _heal(self, server: ProcessId, number: signal.Signals) -> Outcome:
        grip = self._grip(server)
        if isinstance(grip, Outcome):
            return grip
        failed = _signal(server, grip, number)
        if grip is not None:
            os.close(grip)
        return failed or Outcome(str(server), Result.CURED)

    def _grip(self, who: ProcessId) -> int | Outcome | None:
        """A handle that proves to be on that very process, or why it must not be signalled."""
        us = self._ourselves
        if who.pid <= 1 or who.pid == us.pid or who.pid in us.ancestors:
            return Outcome(str(who), Result.REFUSED, "Sentinel does not signal init, itself or what it runs under")
        grip = self._handles.borrow(who)
        match grip:
            case Gone():
                return Outcome(str(who), Result.GONE)
            case Unknown():
                return Outcome(str(who), Result.REFUSED, str(grip))
        return grip

    def _announce(self, strike: Strike, action: Terminate, cause: int) -> bool:
        try:
            strike.intent = self._journal.intend(action, cause)
        except JournalUnwritable as error:
            for who in list(strike.grips):
                strike.settle(who, Result.REFUSED, f"nothing is ended that cannot be recorded: {error}")
            return False
        return True

    def _ask(self, strike: Strike) -> None:
        self._send(strike, signal.SIGTERM)
        strike.asked = True

    def _send(self, strike: Strike, number: signal.Signals) -> None:
        for who, grip in list(strike.grips.items()):
            if (failed := _signal(who, grip, number)) is not None:
                strike.settle(who, failed.result, failed.reason)


def _signal(who: ProcessId, grip: int | None, number: signal.Signals) -> Outcome | None:
    """Signal through the handle; an outcome only when that was not possible."""
    try:
        if sys.platform == "linux":
            if grip is None:
                return Outcome(str(who), Result.REFUSED, "there is no handle on it")
            signal.pidfd_send_signal(grip, number)
        else:
            # No pidfds here: who it is was looked up the moment before.
            os.kill(who.pid, number)
    except ProcessLookupError:
        return Outcome(str(who), Result.GONE)
    except OSError as error:
        return Outcome(str(who), Result.REFUSED, f"the system refused the signal: {error.strerror}")
    return None


def _reconsider(strike: Strike, rejudge: Rejudge) -> None:
    """Whatever changed meanwhile counts. Who was asked to end is about to be killed: who may not be is let go."""
    asked = strike.asked
    when = "it was sent SIGTERM" if asked else "it was about to be sent SIGTERM"
    for who in list(strike.grips):
        match rejudge(who):
            case Absent():
                strike.settle(who, Result.ENDED if asked else Result.GONE)
            case Spared(reason=reason):
                strike.settle(who, Result.REFUSED, f"{when} and is spared now: {reason}")
            case Condemned(no_kill=why) if asked and why:
                strike.settle(who, Result.SURVIVED, why)
            case Condemned():
                pass


async def _await_ends(strike: Strike, patience: float, result: Result) -> None:
    """Settle each that ends within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    if HAS_PIDFD:
        fds = {fd: who for who, fd in strike.grips.items() if fd is not None}
        for who in await _ended(fds, deadline):
            strike.settle(who, result)
        return
    while strike.grips and time.monotonic() < deadline:
        for who in list(strike.grips):
            if processes.ended(who) is True:
                strike.settle(who, result)
        await asyncio.sleep(_LOOK_EVERY)


async def _ended(fds: dict[int, ProcessId], deadline: float) -> list[ProcessId]:
    """Wait until all of these pidfds are readable or the monotonic ``deadline`` is over.

    One epoll holds them all, so the loop has one descriptor to watch however many there are.
    """
    if not fds or sys.platform != "linux":
        return []
    try:
        poll = select.epoll(len(fds))
    except OSError:
        return await _ended_by_looking(fds, deadline)  # no descriptor is left for it
    loop = asyncio.get_running_loop()
    done: list[ProcessId] = []
    woken = asyncio.Event()
    with poll:
        for fd in fds:
            poll.register(fd, select.EPOLLIN)
        loop.add_reader(poll.fileno(), woken.set)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                while len(done) < len(fds):
                    for fd, _ in poll.poll(0, maxevents=len(fds)):
                        poll.unregister(fd)
                        done.append(fds[fd])
                    woken.clear()
                    if len(done) < len(fds):
                        await woken.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(poll.fileno())
    return done


async def _ended_by_looking(fds: dict[int, ProcessId], deadline: float) -> list[ProcessId]:
    """The same without a descriptor of its own: look now and then."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    while len(done := [fds[fd] for fd, _ in poll.poll(0)]) < len(fds) and time.monotonic() < deadline:  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(_LOOK_EVERY)
    return done


def forward(child: int, number: int) -> None:
    """Hand a signal that we got on to our own child, through its pidfd or its number.

    It is not reaped yet, so its number is still its own.
    """
    try:
        if sys.platform == "linux" and HAS_PIDFD:
            fd = os.pidfd_open(child)
            try:
                signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)
        elif child > 1:
            os.kill(child, number)
    except ProcessLookupError:
        pass
