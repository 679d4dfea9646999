"""Where this process is: what its process numbers mean anything in."""

from __future__ import annotations

import os
import socket


def host() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def machine() -> str:
    """What no other machine is called, over restarts (machine-id(5)); empty where nobody can tell."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def pid_namespace() -> int:
    """Inode of this process's pid namespace; 0 where there are none, or where nobody may look."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0
