"""Make a real process lose a signal, as a race would."""

from __future__ import annotations

import ctypes
import os

import pytest

from tests.lab.stage import until

_CONT, _ATTACH, _DETACH = 7, 16, 17
_LIBC = ctypes.CDLL(None, use_errno=True)


def lose(pid, number, occasion):
    """Have a process lose a signal.

    tmux that was built with utempter has SIGCHLD at its default for some milliseconds while a
    pane's terminal is closed, and a pane that ends meanwhile is never reaped (tmux issue 311).
    This makes the same of any tmux, every time.

    Args:
        pid: The process. It is traced for as long as this takes.
        number: The signal. The first that comes is lost.
        occasion: Makes it come.
    """
    _ptrace(_ATTACH, pid)
    os.waitpid(pid, 0)
    _ptrace(_CONT, pid)
    occasion()
    while (stopped_by := until(lambda: _stop(pid), "the signal that is to be lost")) != number:
        _ptrace(_CONT, pid, stopped_by)
    _ptrace(_DETACH, pid)


def _ptrace(request, pid, number=0):
    if _LIBC.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(0), ctypes.c_void_p(number)) == -1:
        if ctypes.get_errno() == 1:
            pytest.skip("missing: ptrace")
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")


def _stop(pid):
    """The signal that a traced process is about to get, or 0."""
    found, status = os.waitpid(pid, os.WNOHANG)
    assert not found or os.WIFSTOPPED(status), "it ended before the signal came"
    return os.WSTOPSIG(status) if found else 0
