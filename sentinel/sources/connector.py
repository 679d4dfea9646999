"""The Linux proc connector: fork, exec and exit of every process, as they happen.

Since Linux 6.6 it speaks to unprivileged users too. It uses the initial pid namespace's
numbers, so it is of no use inside another one, and it is refused in another network
namespace: both are found out here, and the caller takes the next source.

Protocol: include/uapi/linux/cn_proc.h and connector.h; the mask in the subscription came
with Linux 6.6.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Container
from typing import Final

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, ProcessExecuted, ProcessExited, ProcessForked, ProcessRenamed
from sentinel.core.facts import Death
from sentinel.errors import SourceUnavailable
from sentinel.sources.fleeting import Story, Turn, fleeting, going_on

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_PROC_CN_MCAST_LISTEN = 1
_FORK, _EXEC, _COMM, _EXIT = 0x1, 0x2, 0x200, 0x80000000
_NLMSG_DONE = 3
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of include/linux/proc_ns.h
_SO_ATTACH_FILTER = 26
_WANTED_BUFFER = 4 << 20

# Offsets in a datagram: nlmsghdr 16, cn_msg 20, then proc_event: what, cpu, timestamp, data.
_WHAT: Final = 36
_HEAD = struct.Struct("=I4xQ4I")
"""From ``_WHAT`` on: what, timestamp, and the first four words of the event's data."""
_Head = tuple[int, int, int, int, int, int]
_DATAGRAM = 1024

_BATCH = 512
"""Datagrams read in one go before the loop gets a turn."""
_STORM = 3
"""More datagrams than this in one wake-up may be a storm: then the socket is read in steps, since
a wake-up costs ten times what a datagram does. Deaths of roots do not wait for it: their pidfds
wake the loop, and ``drain`` is called first."""
_STEPS = (0.001, 0.008)
"""Seconds between two reads: at first, and at most. Each step is twice as long as the one before,
so what a session bears at its start is over in one or two. A new session can be recognised only
while its root lives, and may live for 20 ms."""


class ProcConnector:
    """Publishes forks, execs and exits.

    Args:
        bus: Where events go.
        watched: Forks and exits of other processes are dropped here, before they cost more; not
            so the birth of one that gets a watched number, whose end must have gone unheard.
    """

    name = "proc connector"
    sampled = False

    def __init__(self, bus: Bus, watched: Container[int]) -> None:
        self._bus = bus
        self._watched = watched
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._step = 0.0
        self._told: deque[_Head] = deque()
        """What was read and is not published yet."""
        self._newborn: set[int] = set()
        """Whose births were told and may not be watched yet: who drains while something is being
        answered has all of it answered later, and their own children and ends belong to it."""

    def open(self) -> None:
        """Subscribe, and prove with a child of our own that events arrive with our numbers.

        Raises:
            SourceUnavailable: The kernel is older than 6.6, or none of Linux, or this is a container.
        """
        if sys.platform != "linux":
            raise SourceUnavailable("the proc connector is Linux's")
        if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PID_NAMESPACE:
            raise SourceUnavailable("this is not the initial pid namespace")
        try:
            self._socket = _subscribe()
        except OSError as error:
            raise SourceUnavailable(f"the kernel does not let us listen to it: {error.strerror}") from error
        if not self._proves_itself():
            self.close()
            raise SourceUnavailable("it accepted our subscription and then told us nothing")

    def _proves_itself(self) -> bool:
        sock = self._socket
        if sock is None:
            return False
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        deadline = time.monotonic() + 0.5
        while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
            with contextlib.suppress(OSError):
                what, _, parent, _, born, _ = _HEAD.unpack_from(sock.recv(_DATAGRAM), _WHAT)
                if what == _FORK and parent == os.getpid() and born == child:
                    return True
        return False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish from now on."""
        self._loop = loop
        loop.add_reader(self._open_socket(), self._wake)

    def close(self) -> None:
        """Stop and give the socket back."""
        if self._pause is not None:
            self._pause.cancel()
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def drain(self) -> None:
        """Publish what the kernel has queued up to now: asked before a judgement."""
        while self._socket is not None and self._read(self._socket) >= _BATCH:
            pass  # a judgement on half of what was told would take the living for the lost

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("open() comes first")
        return self._socket

    def _wake(self) -> None:
        self._newborn.clear()  # nothing is being answered: all that was told was, too
        sock = self._open_socket()
        if self._read(sock) > _STORM and self._loop is not None and self._socket is not None:
            self._loop.remove_reader(sock)
            self._step = _STEPS[0]
            self._pause = self._loop.call_later(self._step, self._storm)

    def _storm(self) -> None:
        if self._socket is None or self._loop is None:
            return
        self._newborn.clear()
        if self._read(self._socket):
            self._step = min(2 * self._step, _STEPS[1])
            self._pause = self._loop.call_later(self._step, self._storm)
        else:
            self._pause = None
            self._loop.add_reader(self._socket, self._wake)

    def _read(self, sock: socket.socket) -> int:
        """Work off some ``_BATCH`` datagrams, if there are so many; returns how many there were."""
        read: list[_Head] = []
        overflowed = _receive(sock, read)
        sifted = read
        if not overflowed and any(head[0] == _EXIT for head in read):
            whole, gone = len(read), self._gone(read) if len(read) > _STORM else set()
            overflowed = _receive(sock, read)  # what they did in the meantime was told before they were gone
            sifted = self._sift(read, _story(read, whole), gone)
        self._told.extend(sifted)
        self._publish_told()
        if overflowed:
            self._lost(sock)
        return len(read)

    def _sift(self, read: list[_Head], story: Story, gone: set[int]) -> list[_Head]:
        """All but what is about lives that left nothing behind; an end of a first thread behind what the others did."""
        passed = fleeting(story, self._watched, gone.__contains__) if gone else ()
        places = [place for place in range(len(read)) if place not in passed]
        if late := going_on(story):
            places.sort(key=lambda place: (late.get(place, place), place in late))
        return [read[place] for place in places]

    def _gone(self, read: list[_Head]) -> set[int]:
        """Whose ends were told, and who are gone by now."""
        ended = {second for what, _, _, second, _, _ in read if what == _EXIT}
        return {pid for pid in ended if pid not in self._watched and pid not in self._newborn and _is_gone(pid)}

    def _publish_told(self) -> None:
        """Publish what was read, in its order: also what a reading further up the stack has not come to yet."""
        told, watched, newborn, publish = self._told, self._watched, self._newborn, self._bus.publish
        while told:
            what, at, _, second, third, fourth = told.popleft()
            if what == _FORK:
                if second in watched or fourth in watched or second in newborn:
                    newborn.add(fourth)
                    publish(ProcessForked(second, fourth, at / 1e9))
            elif what == _EXEC:
                publish(ProcessExecuted(second))
            elif what == _EXIT:
                if second in watched or second in newborn:
                    publish(ProcessExited(second, Death(at / 1e9, third)))
            else:
                publish(ProcessRenamed(second))

    def _lost(self, sock: socket.socket) -> None:
        """The queue overflowed.

        What is left in it comes from both sides of the gap, and a fork whose parent's end
        fell into the gap would be written to the wrong owner. So all of it goes, and the
        answer to ``EventsLost`` is to look at everything.
        """
        while True:
            try:
                sock.recv(_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
        self._bus.publish(EventsLost(self.name, "the kernel's queue overflowed"))


def _receive(sock: socket.socket, read: list[_Head]) -> bool:
    """Read up to ``_BATCH`` datagrams that are there. Whether others were lost."""
    receive, unpack = sock.recv, _HEAD.unpack_from
    try:
        for _ in range(_BATCH):
            read.append(unpack(receive(_DATAGRAM), _WHAT))  # noqa: PERF401 - what was read before an error counts
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return True
    return False


def _story(read: list[_Head], whole: int) -> Story:
    """What was told, for ``fleeting``. After the first ``whole`` words nobody was asked who is gone."""
    return [
        (Turn.BIRTH, fourth, second)
        if what == _FORK
        else (Turn.END if what == _EXIT and place < whole else Turn.OTHER, second, 0)
        for place, (what, _, _, second, _, fourth) in enumerate(read)
    ]


def _is_gone(pid: int) -> bool:
    """Whether nobody has this number. The cheapest question there is (0.3 us), and no permission is asked for it."""
    try:
        os.getpgid(pid)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _subscribe() -> socket.socket:
    if sys.platform != "linux":
        raise OSError(errno.EPROTONOSUPPORT, "only Linux has it")
    sock = socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_CONNECTOR
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANTED_BUFFER)  # the kernel caps it at rmem_max
        _attach_filter(sock)
        sock.bind((0, _CN_IDX_PROC))
        wish = struct.pack("=II", _PROC_CN_MCAST_LISTEN, _FORK | _EXEC | _COMM | _EXIT)
        connector = struct.pack("=IIIIHH", _CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(wish), 0)
        length = 16 + len(connector) + len(wish)
        sock.send(struct.pack("=IHHII", length, _NLMSG_DONE, 0, 0, os.getpid()) + connector + wish)
    except OSError:
        sock.close()
        raise
    return sock


def _attach_filter(sock: socket.socket) -> None:
    """Have the kernel drop what is said of threads, and renamings but those to ``tmux...``.

    Classic BPF (linux/filter.h). It loads words in network order, hence ``htonl`` on what
    the kernel wrote in its own.
    """
    load, to_x, jump_eq, jump_eq_x, accept = 0x20, 0x07, 0x15, 0x1D, 0x06
    program = [
        (load, 0, 0, _WHAT),
        (jump_eq, 4, 0, socket.htonl(_FORK)),  # -> 6
        (jump_eq, 7, 0, socket.htonl(_EXIT)),  # -> 10
        (jump_eq, 12, 0, socket.htonl(_EXEC)),  # -> 16
        (jump_eq, 9, 0, socket.htonl(_COMM)),  # -> 14
        (accept, 0, 0, 0),
        (load, 0, 0, 60),  # 6 fork: the child's pid ...
        (to_x, 0, 0, 0),
        (load, 0, 0, 64),  # ... is its tgid, unless it is a thread
        (jump_eq_x, 6, 7, 0),  # -> 16 or 17
        (load, 0, 0, 52),  # 10 exit: the same for the one that ends
        (to_x, 0, 0, 0),
        (load, 0, 0, 56),
        (jump_eq_x, 2, 3, 0),  # -> 16 or 17
        (load, 0, 0, 60),  # 14 rename: the first four bytes of the name
        (jump_eq, 0, 1, int.from_bytes(b"tmux", "big")),  # -> 16 or 17
        (accept, 0, 0, 0xFFFF),  # 16
        (accept, 0, 0, 0),  # 17
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(buffer)))
