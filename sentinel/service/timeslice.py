"""A short turn on the processor, and soon, instead of a long one later.

A session is recognised while its root lives. On a busy machine a process that has just woken up
may wait for tens of milliseconds. Linux 6.12 lets everybody ask for shorter turns: the share of
the processor stays the same, and each turn comes earlier (EEVDF; sched_setattr(2), and
kernel/sched/syscalls.c on what ``sched_runtime`` means for ordinary processes).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

SLICE = 100_000
"""Nanoseconds, the least that the kernel takes; its own choice is 2.8 ms on two processors."""
_SET_NUMBER = {"x86_64": 314, "aarch64": 274}
"""``sched_setattr`` in the tables of system calls: the C library has no name for it before 2.41."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_ORDINARY = 0  # SCHED_OTHER
_NOT_FOR_CHILDREN = 1  # SCHED_FLAG_RESET_ON_FORK


def ask_for_short_turns() -> bool:
    """Ask for them for this thread, and not for what it starts. Whether the kernel took it.

    Older kernels take it and do nothing. Who was given another policy or is nice keeps that.
    """
    if sys.platform != "linux":
        return False
    number = _SET_NUMBER.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, _ORDINARY, _NOT_FOR_CHILDREN, nice, 0, SLICE, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, wish, 0) == 0)
