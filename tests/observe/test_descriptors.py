from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from sentinel.observe.descriptors import descriptors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

US = "/proc/self"


@pytest.fixture(params=[0, 40], ids=["few", "many"])
def opened(request):
    """Where each descriptor of ours leads that is open for longer than a look."""
    more = [os.open(os.devnull, os.O_RDONLY) for _ in range(request.param)]
    known = {fd: os.readlink(f"{US}/fd/{fd}") for fd in os.listdir(f"{US}/fd") if os.path.exists(f"{US}/fd/{fd}")}
    yield known
    for fd in more:
        os.close(fd)


def test_each_is_told_with_where_it_leads(opened):
    assert opened.items() <= descriptors(US).items()


def test_one_that_has_none_is_no_riddle():
    child = os.fork()
    if child == 0:
        os.closerange(0, 1024)
        os.kill(os.getpid(), signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    try:
        assert descriptors(f"/proc/{child}") == {}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("shown", [0, 3])
def test_what_a_thread_did_not_show_any_more_when_it_ended_is_asked_for_again(opened, monkeypatch, shown):
    """Stands in for some microseconds of a first thread that ends, as it does when another replaces the program."""
    list_all, read_link, stat, looks = os.listdir, os.readlink, os.stat, []

    def ending(path):
        looks.append(path)
        return list_all(path)

    def link(path):
        if len(looks) < 2 and path in {f"{US}/fd/{fd}" for fd in sorted(opened)[shown:]}:
            raise FileNotFoundError(path)
        return read_link(path)

    def status(path):
        real = stat(path)
        return os.stat_result((*real[:6], shown, *real[7:])) if len(looks) == 1 and shown == 0 else real

    with monkeypatch.context() as moment:
        for name, stand_in in (("listdir", ending), ("readlink", link), ("stat", status)):
            moment.setattr(os, name, stand_in)
        found = descriptors(US)
    assert opened.items() <= found.items()


BUSY = """
import os, sys
from sentinel.observe.descriptors import descriptors

def opening(real):  # as another thread may, between any two steps of a look
    def call(path):
        answer = real(path)
        opened.append(os.open(os.devnull, os.O_RDONLY))
        return answer
    return call

opened = []
os.listdir, os.readlink, os.stat = (opening(one) for one in (os.listdir, os.readlink, os.stat))
print(sys.argv[1] in descriptors("/proc/self"))
"""


def test_one_that_is_opened_meanwhile_stands_in_for_no_other():
    with open(os.devnull) as ours:
        high = fcntl.fcntl(ours, fcntl.F_DUPFD, 100)
        try:
            told = subprocess.run(
                [sys.executable, "-c", BUSY, str(high)],
                pass_fds=[high],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        finally:
            os.close(high)
    assert told == "True\n"


def test_of_a_thread_that_has_ended_nobody_can_tell(monkeypatch):
    read_link = os.readlink

    def link(path):  # the kernel shows no program of it any more
        if path.endswith(("/exe", "/fd/0")):
            raise FileNotFoundError(path)
        return read_link(path)

    with monkeypatch.context() as moment:
        moment.setattr(os, "readlink", link)
        with pytest.raises(FileNotFoundError):
            descriptors(US)
