"""The proc connector, for real: as the machine's user it needs the initial pid namespace."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from sentinel.core.events import EventsLost, ProcessExecuted, ProcessExited, ProcessForked, ProcessRenamed
from sentinel.errors import SourceUnavailable
from sentinel.sources import connector as module
from sentinel.sources.connector import ProcConnector

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


class Everybody:
    def __contains__(self, pid):
        return True


class Heard:
    """A bus that only keeps what it is told."""

    def __init__(self):
        self.events = []

    def publish(self, event):
        self.events.append(event)

    def of(self, kind, **fields):
        return [e for e in self.events if type(e) is kind and all(getattr(e, k) == v for k, v in fields.items())]


def listening(watched=None):
    heard = Heard()
    source = ProcConnector(heard, Everybody() if watched is None else watched)
    try:
        source.open()
    except SourceUnavailable as error:
        pytest.skip(f"missing: the initial pid namespace ({error})")
    return source, heard


@contextlib.contextmanager
def lasting():
    """A process that is still there when it is read of."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        yield process


def until(source, heard, *wanted, patience=20.0):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        source.drain()
        if all(heard.of(*[kind], **fields) for kind, fields in wanted):
            return
        time.sleep(0.005)
    raise AssertionError(f"not heard: {[w for w in wanted if not heard.of(w[0], **w[1])]}")


def test_a_life_is_told_from_birth_to_end():
    source, heard = listening()
    before = time.monotonic()
    process = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
    process.wait()
    until(source, heard, (ProcessForked, {"child": process.pid}), (ProcessExited, {"pid": process.pid}))
    source.close()
    (born,) = heard.of(ProcessForked, child=process.pid)
    assert born.parent == os.getpid()
    assert before <= born.at <= time.monotonic()
    (ended,) = heard.of(ProcessExited, pid=process.pid)
    assert (ended.death.code, ended.death.signal) == (3, None)
    assert heard.of(ProcessExecuted, pid=process.pid)


def test_a_death_by_signal_is_told_as_one():
    source, heard = listening()
    process = subprocess.Popen(["/bin/sh", "-c", "kill -9 $$"])
    process.wait()
    until(source, heard, (ProcessExited, {"pid": process.pid}))
    source.close()
    assert heard.of(ProcessExited, pid=process.pid)[0].death.signal == 9


def test_threads_are_not_processes():
    source, heard = listening({os.getpid()})
    for _ in range(20):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    with lasting() as marker:
        until(source, heard, (ProcessForked, {"child": marker.pid}))
    source.close()
    assert [e.child for e in heard.of(ProcessForked, parent=os.getpid())] == [marker.pid]


def test_births_and_ends_of_others_are_dropped():
    source, heard = listening(set())
    with lasting() as process:
        until(source, heard, (ProcessExecuted, {"pid": process.pid}))
    source.drain()
    source.close()
    assert not heard.of(ProcessForked)
    assert not heard.of(ProcessExited)


TWO_GENERATIONS = """
import os
told, tell = os.pipe()
if (child := os.fork()) == 0:
    if (grandchild := os.fork()) == 0:
        os.read(0, 1)
        os._exit(0)
    os.write(tell, str(grandchild).encode())
    os.waitpid(grandchild, 0)
    os._exit(0)
print(os.read(told, 20).decode(), flush=True)
os.waitpid(child, 0)
"""


def test_what_is_born_before_its_parents_birth_is_answered_is_told_too():
    """A handler that catches up has all of it answered after itself."""
    source, heard = listening({os.getpid()})
    process = subprocess.Popen(
        [sys.executable, "-IS", "-c", TWO_GENERATIONS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    grandchild = int(process.stdout.readline())
    until(source, heard, (ProcessForked, {"child": grandchild}))
    process.communicate(b"x")
    until(source, heard, (ProcessExited, {"pid": grandchild}))
    source.close()
    (born,) = heard.of(ProcessForked, child=grandchild)
    (above,) = heard.of(ProcessForked, child=born.parent)
    assert heard.of(ProcessForked, child=above.parent)[0].parent == os.getpid()
    assert heard.of(ProcessExited, pid=born.parent)


def test_lives_that_are_over_before_they_are_read_of_are_not_told():
    source, heard = listening({os.getpid()})
    passed = [subprocess.Popen(["/bin/true"]) for _ in range(20)]
    for process in passed:
        process.wait()
    with lasting() as stays:
        until(source, heard, (ProcessExecuted, {"pid": stays.pid}))
    source.close()
    pids = {process.pid for process in passed}
    assert not [event for event in heard.events if getattr(event, "pid", None) in pids]
    assert heard.of(ProcessForked, child=stays.pid)
    assert not pids & {event.child for event in heard.of(ProcessForked)}


def test_one_that_is_dead_and_not_reaped_is_told_whole():
    """Its first thread may have ended while others go on: the kernel says both in the same words."""
    source, heard = listening({os.getpid()})
    zombies = [subprocess.Popen(["/bin/true"]) for _ in range(4)]
    for process in zombies:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    until(source, heard, *[(ProcessExited, {"pid": process.pid}) for process in zombies])
    source.close()
    assert {process.pid for process in zombies} <= {event.child for event in heard.of(ProcessForked)}
    for process in zombies:
        process.wait()


BECOMES_ANOTHER = """
import os, sys, threading, time
threading.Thread(target=os.execv, args=("/bin/sh", ["sh", "-c", sys.argv[1]])).start()
time.sleep(60)
"""


def test_what_a_program_leaves_that_became_another_in_its_second_thread_is_told():
    """As a Go program does: the end of its first thread is told, and then it goes on."""
    source, heard = listening({os.getpid()})
    ours, theirs = os.pipe()
    command = [sys.executable, "-IS", "-c", BECOMES_ANOTHER, "exec 3<&0; /bin/cat <&3 >/dev/null & echo $!"]
    with subprocess.Popen(command, stdin=ours, stdout=subprocess.PIPE) as process:
        left = int(process.stdout.readline())
    until(source, heard, (ProcessForked, {"parent": os.getpid(), "child": process.pid}))
    source.close()
    os.close(theirs)
    os.close(ours)
    assert heard.of(ProcessForked, parent=process.pid, child=left)


def test_the_end_of_a_first_thread_is_none_where_more_is_told_of_its_process():
    """By the time at which it is answered the process may be gone: it would be written off, and its child nobody's."""
    heard = Heard()
    source = ProcConnector(heard, {6})
    first, born, ended = datagram(0x80000000, 6, 6, 0, 17), datagram(1, 6, 6, 8, 8), datagram(0x80000000, 6, 6, 256, 17)
    source._socket = Socket(first, BlockingIOError(), born, ended)
    source.drain()
    assert [type(event) for event in heard.events] == [ProcessForked, ProcessExited, ProcessExited]
    assert [event.death.code for event in heard.of(ProcessExited)] == [1, 0]


def test_the_end_of_a_first_thread_is_told_behind_what_the_others_did():
    """The kernel tells of no other end of it."""
    heard = Heard()
    source = ProcConnector(heard, {6})
    first, born = datagram(0x80000000, 6, 6, 0, 17), datagram(1, 6, 6, 8, 8)
    source._socket = Socket(first, born)
    source.drain()
    assert [type(event) for event in heard.events] == [ProcessForked, ProcessExited]


def test_what_was_borne_while_it_was_asked_who_is_gone_is_told(monkeypatch):
    """Others of its threads bore one more, and then it was gone indeed."""
    heard = Heard()
    source = ProcConnector(heard, {5})
    born, other, ended = datagram(1, 5, 5, 6, 6), datagram(1, 5, 5, 7, 7), datagram(0x80000000, 6, 6, 0, 17)
    source._socket = Socket(born, other, other, ended, BlockingIOError(), datagram(1, 6, 6, 8, 8))
    monkeypatch.setattr(module, "_is_gone", lambda pid: pid == 6)
    source.drain()
    assert [event.child for event in heard.of(ProcessForked)] == [6, 7, 7, 8]


def test_what_was_read_and_not_published_yet_comes_before_what_is_read_by_a_handler():
    """A handler catches up in the middle of a reading."""
    told = []

    class Catching:
        def publish(self, event):
            told.append(event.child)
            source.drain()

    source = ProcConnector(Catching(), Everybody())
    first, second, third = (datagram(1, 5, 5, child, child) for child in (6, 7, 8))
    source._socket = Socket(first, second, BlockingIOError(), third, *[BlockingIOError()] * 4)
    source.drain()
    assert told == [6, 7, 8]


def test_the_birth_of_one_that_gets_a_watched_number_is_told():
    class Recycled:
        """Watches every number but our own: the end of whoever had it was not heard."""

        def __contains__(self, pid):
            return pid != os.getpid()

    source, heard = listening(Recycled())
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    until(source, heard, (ProcessForked, {"parent": os.getpid(), "child": process.pid}))
    source.close()


def test_a_tmux_server_is_told_by_the_name_it_takes():
    source, heard = listening()
    code = "import ctypes,sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)"
    pids = {}
    for name in ("tmux: server", "nothing"):
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code, name])
        process.wait()
        pids[name] = process.pid
    until(source, heard, (ProcessRenamed, {"pid": pids["tmux: server"]}), (ProcessExited, {"pid": pids["nothing"]}))
    source.close()
    assert not heard.of(ProcessRenamed, pid=pids["nothing"])


def test_where_there_is_no_linux_there_is_none(monkeypatch):
    """A stand-in for macOS, which has no /proc to look at either."""
    monkeypatch.setattr(module, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(module.os, "stat", None)
    with pytest.raises(SourceUnavailable, match="the proc connector is Linux's"):
        ProcConnector(Heard(), ()).open()


def test_another_pid_namespace_is_found_out():
    if os.getuid() != 0:
        pytest.skip("missing: root")
    code = (
        "from sentinel.sources.connector import ProcConnector\n"
        "from sentinel.errors import SourceUnavailable\n"
        "try: ProcConnector(None, ()).open()\n"
        "except SourceUnavailable as error: print(error)"
    )
    for option, why in (("--pid", "initial pid namespace"), ("--net", "does not let us listen")):
        found = subprocess.run(
            ["unshare", option, "--fork", "--mount-proc", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        assert why in found.stdout


class Socket:
    """Stands in for the netlink socket: a real one cannot be made to overflow at a given datagram."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def recv(self, size):
        if not self.answers:
            raise BlockingIOError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def datagram(what, *words):
    return bytes(36) + struct.pack("=I4xQ4I", what, 0, *words)


def test_an_overflow_is_told_and_what_lay_around_it_is_not_believed():
    heard = Heard()
    source = ProcConnector(heard, Everybody())
    fork = datagram(1, 5, 5, 6, 6)
    lost = OSError(errno.ENOBUFS, "no buffer space")
    source._socket = Socket(fork, lost, fork, OSError(errno.ENOBUFS, "again"), fork)
    source.drain()
    assert [type(event) for event in heard.events] == [ProcessForked, EventsLost]
    assert source._socket.answers == []


def test_a_storm_is_read_in_steps_and_the_calm_after_it_at_once():
    async def scenario():
        source, heard = listening()
        source.start(asyncio.get_running_loop())
        processes = [subprocess.Popen(["/bin/true"]) for _ in range(40)]
        for process in processes:
            process.wait()
        deadline = time.monotonic() + 20
        pids = {process.pid for process in processes}
        while time.monotonic() < deadline and not pids <= {e.pid for e in heard.of(ProcessExited)}:
            await asyncio.sleep(0.01)
        assert pids <= {e.pid for e in heard.of(ProcessExited)}
        while not (calm := source._pause is None) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        source.close()
        return calm

    assert asyncio.run(scenario())


class Steps:
    """A loop that writes down how long it is asked to wait."""

    def __init__(self):
        self.waits = []

    def call_later(self, delay, call):
        self.waits.append(delay)
        return self

    def add_reader(self, *_):
        self.waits.append("wakes")

    def remove_reader(self, _):
        pass


def test_the_steps_through_a_storm_begin_short():
    fork = datagram(1, 5, 5, 6, 6)
    some, nothing = [fork] * 4, BlockingIOError()
    source, loop = ProcConnector(Heard(), Everybody()), Steps()
    source._socket = Socket(*[answer for _ in range(6) for answer in (*some, nothing)], nothing, *some, nothing)
    source.start(loop)
    source._wake()
    for _ in range(6):
        source._storm()
    source._wake()
    assert loop.waits == ["wakes", 0.001, 0.002, 0.004, 0.008, 0.008, 0.008, "wakes", 0.001]


def test_a_kernel_that_keeps_silent_is_not_believed(monkeypatch):
    def deaf():
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        monkeypatch.setattr(module, "_kept", pair, raising=False)
        return pair[0]

    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    monkeypatch.setattr(module, "_subscribe", deaf)
    with pytest.raises(SourceUnavailable, match="told us nothing"):
        ProcConnector(Heard(), ()).open()
    module._kept[1].close()
