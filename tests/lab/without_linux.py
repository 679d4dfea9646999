"""Runs Sentinel as where nothing of Linux is: no /proc, none of its names, and another platform's.

It stands for macOS as far as a Linux machine can: psutil alone sees processes, through a mount
of its own. FSEvents, kqueue and launchd are not there, so samples and looks have to do.

    python without_linux.py PROC VERB...
"""

import os
import runpy
import select  # noqa: F401 - what the standard library takes of Linux is loaded before it is taken away
import signal
import socket
import struct
import sys
import time

import psutil

psutil.PROCFS_PATH = sys.argv.pop(1)

import asyncio  # noqa: E402, F401 - see above
import concurrent.futures.thread  # noqa: E402, F401
import multiprocessing  # noqa: E402, F401
import platform  # noqa: E402
import subprocess  # noqa: E402, F401
import tempfile  # noqa: E402, F401

LINUX = {
    os: "pidfd_open O_PATH sched_getscheduler SCHED_OTHER fdatasync memfd_create setns unshare",
    time: "CLOCK_BOOTTIME",
    signal: "pidfd_send_signal",
    socket: "AF_NETLINK SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED",
}
SO_PEERCRED, LOCAL_PEERPID = socket.SO_PEERCRED, (0, 2)


class Socket(socket.socket):
    def getsockopt(self, level, name, *size):
        if (level, name) == LOCAL_PEERPID:
            return struct.unpack("iII", super().getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))[0]
        return super().getsockopt(level, name, *size)


socket.socket = Socket
for module, names in LINUX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "darwin"
platform.system = lambda: "Darwin"
runpy.run_module("sentinel", run_name="__main__")
