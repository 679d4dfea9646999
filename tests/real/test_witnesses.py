"""Witnesses that fail: no error of the system, and no garbage from it, makes anything end or go.

Real processes of dead sessions, each of which would be ended, are judged and struck at while
calls of the system fail one by one, from one on, or wherever they concern one kind of file.
Whatever was asked for, if any call has failed nothing may be done. A share here; ``make soak``
injects a hundred thousand errors.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import random
import signal
import socket
import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from sentinel import observe
from sentinel.core.actions import Result, Terminate
from sentinel.core.events import ProcessExited
from sentinel.core.policy import Policy
from sentinel.core.sessions import Belongings, Kind, SocketMark
from sentinel.core.verdicts import Condemned
from sentinel.handlers.leftovers import Leftovers
from sentinel.reaper import removals
from sentinel.reaper.signals import Signaller
from sentinel.reaper.staleness import Glimpse
from tests.handlers.room import Room, end_everything, ended, killed

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
    pytest.mark.namespace,
    pytest.mark.soak,
]

ERRORS = 100_000 if os.environ.get("SENTINEL_SOAK") == "full" else 4_000
NUMBERS = (
    *(errno.EPERM, errno.EACCES, errno.ENOENT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ETIMEDOUT, errno.EINTR, errno.ENOBUFS),
)
OF_THE_SYSTEM = frozenset(("open", "read", "readlink", "stat", "lstat", "listdir", "scandir", "pidfd_open", "dup"))
OF_SOCKETS = frozenset(("socket", "send", "sendto", "recv", "recv_into", "recvmsg", "connect", "bind"))
DOORS = [
    importlib.import_module(f"{observe.__name__}.{found.name}")
    for found in pkgutil.iter_modules(observe.__path__)
    if found.name != "portable"  # not on Linux
]


class Fault:
    """Decides which calls fail, and counts those that did."""

    def __init__(self):
        self.off()

    def off(self):
        self.calls, self.fired, self.chosen = 0, 0, None
        self._names = {}

    def on(self, chance, calls):
        """Choose which of so many calls is the first to fail, with what, and which others do."""
        self.off()
        self.chosen = self.chosen_last = chance.randrange(1, calls + 1)
        self._how = chance.choice(("once", "from then on", "this kind"))
        self._error = chance.choice((*NUMBERS, "garbage", "garbage"))
        self._chance = chance
        self._kind = None

    def __repr__(self):
        return f"call {self.chosen_last} of {self.calls}: {self._kind}, {self._how}, {self._error}"

    def call(self, name, real, args, kwargs):
        """Make a call, or fail it."""
        self.calls += 1
        about = (name, os.path.basename(str(args[0])) if args and isinstance(args[0], str) else "")
        first = self.calls == self.chosen
        if first:
            self._kind = about
        again = self.chosen is not None and self.calls > self.chosen
        if not (
            first
            or (again and self._how == "from then on")
            or (again and self._how == "this kind" and about == self._kind)
        ):
            return self._really(name, real, args, kwargs)
        if self._error != "garbage":
            if name == "readlink" and self._error == errno.ENOENT:
                return self._really(name, real, args, kwargs)  # that is how a closed descriptor looks
            self.fired += 1
            raise OSError(self._error, os.strerror(self._error))
        answer = self._really(name, real, args, kwargs)
        if name != "read" or self._names.get(args[0]) not in {"stat", "status"}:
            return answer  # of other texts nobody could tell garbage from truth
        self.fired += 1
        return self._garbage(answer)

    def _really(self, name, real, args, kwargs):
        answer = real(*args, **kwargs)
        if name == "open":
            self._names[answer] = os.path.basename(args[0])
        return answer

    def _garbage(self, text):
        in_start = len(b" ".join(text.split(b" ")[:22])) - 1  # of `stat`: before the last digit of the start time
        end = text.index(b"SigIgn") if b"SigIgn" in text else in_start
        cut = text[: self._chance.randrange(end)]
        return self._chance.choice((b"", cut, self._chance.randbytes(64), b"<html>no</html>\n"))


class Broken:
    """A module, or a socket, some of whose functions may fail."""

    def __init__(self, real, names, fault):
        self.__dict__.update(_real=real, _names=names, _fault=fault)

    def __getattr__(self, name):
        real = getattr(self._real, name)
        if name not in self._names:
            return real

        def call(*args, **kwargs):
            answer = self._fault.call(name, real, args, kwargs)
            return Broken(answer, self._names, self._fault) if isinstance(answer, socket.socket) else answer

        return call

    def __enter__(self):
        self._real.__enter__()
        return self

    def __exit__(self, *how):
        return self._real.__exit__(*how)


@pytest.fixture
def fault(monkeypatch):
    it = Fault()
    for door in DOORS:
        for name, calls in (("os", OF_THE_SYSTEM), ("socket", OF_SOCKETS)):
            if hasattr(door, name):
                monkeypatch.setattr(door, name, Broken(getattr(door, name), calls, it))
    return it


@pytest.fixture
def done(monkeypatch):
    """What was done to processes and files, without doing it: each is to be condemned again and again."""
    it = Counter()
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: it.update(["signal"]))
    monkeypatch.setattr(removals, "remove", lambda *_: it.update(["removal"]))
    return it


@pytest.fixture
def room(where):
    it = Room(where)
    it.keep_books()
    yield it
    it.close()
    end_everything()


def plain(room):
    agent = room.start()
    room.open(agent.pid)
    return agent, room.forked(agent.pid, agent.do("bear()"))


def lost_with_a_pipe(room):
    """Its parent has ended before: so it is asked where its input and output lead."""
    agent = room.start()
    room.open(agent.pid)
    between, child = agent.bear_through("os.setsid(); time.sleep(60)")
    room.forked(agent.pid, between)
    room.forked(between, child)
    agent.do(f"os.waitpid({between}, 0)[0]")
    room.bus.publish(ProcessExited(between, ended()))
    return agent, child


def below_another(room):
    """It hangs under one that is condemned as well."""
    agent = room.start()
    room.open(agent.pid)
    between, child = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, between)
    return agent, room.forked(between, child)


def without_a_handle(room):
    """Descriptors had run out at its birth."""
    agent, child = plain(room)
    room.handles.drop(room.ledger.member(child).id)
    return agent, child


def listening(room):
    agent = room.start()
    room.open(agent.pid)
    script = "s = __import__('socket').socket(); s.bind(('127.0.0.1', 0)); s.listen(); ready(); time.sleep(60)"
    return agent, room.forked(agent.pid, agent.do(f"bear({script!r})"))


@contextmanager
def armed(fault, chance, calls):
    fault.on(chance, calls)
    try:
        yield
    finally:
        fault.chosen = None


@pytest.mark.parametrize("scene", [plain, lost_with_a_pipe, below_another, without_a_handle, listening])
def test_nobody_is_condemned_or_struck_when_a_call_has_failed(room, fault, done, scene):
    agent, pid = scene(room)
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    member = room.ledger.member(pid)
    session = room.ledger.record(member.owner).session
    hand = Signaller(room.handles, room.journal, room.us)

    def judge_and_strike(given=None):
        verdict = given or room.examiner.verdict(member.id)
        if isinstance(verdict, Condemned):
            done["verdict"] += given is None and not fault.fired
            done["verdict in spite of it"] += bool(fault.fired)
            strike = hand.strike(Terminate(session, (verdict,), 0.0), 0, Glimpse())
            for who in list(strike.grips):  # nobody waits for an end that will not come
                strike.settle(who, Result.SURVIVED)
        return verdict

    fault.off()
    condemned = judge_and_strike()
    assert +done == {"verdict": 1, "signal": 1}, condemned  # or nothing would be shown
    held = len(os.listdir("/proc/self/fd"))
    calls, injected, chance = fault.calls, 0, random.Random(scene.__name__)  # noqa: S311 - to be the same each time
    done.clear()
    while injected < ERRORS // 5:
        with armed(fault, chance, calls):
            judge_and_strike(None if chance.random() < 0.8 else condemned)
        assert not fault.fired or not done["verdict in spite of it"] + done["signal"], fault
        injected += fault.fired
        done.clear()
    assert len(os.listdir("/proc/self/fd")) == held


def test_no_socket_is_removed_when_a_call_has_failed(room, fault, done, tmp_path):
    path = str(tmp_path / "left.sock")
    agent = room.start()
    agent.do(f"globals().update(s=__import__('socket').socket(1)) or s.bind({path!r}) or s.listen() or 1")
    status = os.stat(path)
    mark = SocketMark(path, status.st_dev, status.st_ino)
    session = room.open(agent.pid, Kind.TMUX, belongings=Belongings((mark,)))
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    leftovers = Leftovers(room.ledger, room.journal, room.where.quarantine, room.us.uid)
    fault.off()
    leftovers.remove(session, Policy())
    assert done == {"removal": 1}
    calls, injected, chance = fault.calls, 0, random.Random("files")  # noqa: S311 - as above
    done.clear()
    while injected < ERRORS // 20:
        with armed(fault, chance, calls):
            leftovers.remove(session, Policy())
        assert not fault.fired or not done, fault
        injected += fault.fired
        done.clear()
