"""Where this process is: what its process numbers mean anything in."""

from __future__ import annotations

import os
import socket


def host() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def pid_namespace() -> int:
    """Inode of this process's pid namespace; 0 where there are none, or where nobody may look."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
