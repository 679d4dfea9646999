"""The real parts that a handler stands among, and processes that do as they are told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from sentinel import runs
from sentinel.bus import Bus
from sentinel.core.events import ProcessForked, SessionEmptied
from sentinel.core.facts import Death, Gone, ProcessId, Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.handlers.openings import Openings
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.handles import Handles
from sentinel.observe.surroundings import cgroup_of, input_of
from sentinel.switches import SwitchBoard

HANG = 20.0
"""Seconds after which a test that waits has failed."""

moves_files = pytest.mark.skipif(
    os.stat("/").st_uid not in {0, os.geteuid()},
    reason='missing: root (in a user namespace "/" is nobody\'s, and what is below it is not trusted)',
)
"""For tests that see a file removed: the reaper goes through no directory of somebody else."""

PUPPET = """
import os, signal, subprocess, sys, threading, time

def bear(script="time.sleep(60)"):
    "Bear a child that runs a script; wait for it if it says ready() somewhere."
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        exec(script, {**globals(), "ready": lambda: os.write(tell, b"!")})
        os._exit(0)
    if "ready()" in script:
        os.read(told, 1)
    os.close(told), os.close(tell)
    return child

def letting_go(script="time.sleep(60)"):
    "Bear one that makes a session of its own and holds nothing of ours."
    return bear(
        "os.setsid(); null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, fd) for fd in range(3)]; ready()\\n"
        + script)

def bear_through(script="time.sleep(60)", between=""):
    "Bear one that bears another and then runs a script of its own. Returns both."
    told, tell = os.pipe()
    child = bear(f"os.write({tell}, str(bear({script!r})).encode()); {between}")
    grandchild = os.read(told, 20).decode()
    os.close(told), os.close(tell)
    return f"{child} {grandchild}"

for line in sys.stdin:
    print(eval(line), flush=True)
"""
"""Evaluates each line that it is told, and prints what comes of it."""


class Puppet(subprocess.Popen):
    """A process in a session of its own, so that it is in nobody's process group but its own."""

    def __init__(self, *command):
        command = command or (sys.executable, "-I", "-S", "-c", PUPPET)
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.who = processes.identify(self.pid)
        settles(self.pid)

    def do(self, expression):
        """Have it evaluate something; the answer is usually the pid of who was born."""
        self.tell(expression)
        answer = self.stdout.readline().strip()
        if answer.isdigit():
            settles(int(answer))
        return int(answer) if answer.lstrip("-").isdigit() else answer

    def bear_through(self, script="time.sleep(60)", between=""):
        """Pids of a child and of the grandchild that it bore."""
        child, grandchild = self.do(f"bear_through({script!r}, {between!r})").split()
        return int(child), int(grandchild)

    def tell(self, expression):
        """The same where no answer comes, for it ends."""
        self.stdin.write(f"{expression}\n")
        self.stdin.flush()

    def end(self):
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                stream.close()


class Watched:
    """Stands in for the pidfd watch where no loop runs: keeps what it was told."""

    def __init__(self):
        self.now = set()

    def watch(self, who):
        self.now.add(who)
        return True

    def forget(self, who):
        self.now.discard(who)


class Room:
    """Bus, ledger, handles and journal as the agent has them; what is published is kept."""

    def __init__(self, where, policy=None):
        self.where = where
        self.policy = policy or Policy()
        self.events = []
        self.journal = Journal(where.journal, processes.boot_id())
        self.bus = Bus(self._record)
        self.switches = SwitchBoard(where.switches, processes.boot_id())
        self.bus.subscribe(SessionEmptied, self.events.append)
        self.ledger = Ledger()
        self.handles = Handles()
        self.exits = Watched()
        self.us = find_ourselves()
        self.examiner = Examiner(self.ledger, self.handles, lambda: self.policy, self.us)
        self._started = []

    def _record(self, event, cause):
        self.events.append(event)
        return self.journal.record(event, cause)

    def close(self):
        for puppet in self._started:
            puppet.end()
        self.handles.close()
        self.journal.close()

    def wishes(self):
        """The policy, with what is held now."""
        return self.switches.applied_to(self.policy)

    # -- what happens ----------------------------------------------------------------

    def start(self, *command):
        puppet = Puppet(*command)
        self._started.append(puppet)
        return puppet

    def keep_books(self, *, sampled=False):
        self.bookkeeper = Bookkeeper(
            self.bus, self.ledger, self.handles, self.exits, sampled=sampled, runtime=self.where.runtime
        )
        self.openings = Openings(
            self.bus,
            ledger=self.ledger,
            handles=self.handles,
            exits=self.exits,
            bookkeeper=self.bookkeeper,
            uid=self.us.uid,
        )
        return self.bookkeeper

    def discover(self, *, later=lambda *_: None):
        """Keep books, and notice the sessions that they tell of."""
        self.keep_books()
        return Discovery(
            self.bus,
            ledger=self.ledger,
            handles=self.handles,
            bookkeeper=self.bookkeeper,
            openings=self.openings,
            later=later,
        )

    def open(self, pid, kind=Kind.AGENT, name="claude", **more):
        """Write down a session as discovery does."""
        who = self.handles.take(pid)
        assert isinstance(who, ProcessId)
        more = {"input": input_of(pid), "cgroup": cgroup_of(pid), **more}
        session = Session(kind, name, who, born=time.time(), **more)
        self.ledger.open(session, time.monotonic())
        self.exits.watch(who)
        return session

    def forked(self, parent, child):
        """Tell of a birth what the kernel tells."""
        self.bus.publish(ProcessForked(parent, child, born(child)))
        return child

    def told(self, kind):
        return [event for event in self.events if type(event) is kind]

    def owner(self, pid):
        """Key of the session that owns the living process ``pid``."""
        member = self.ledger.member(pid)
        return member.owner if member is not None and member.id == processes.identify(pid) else None


def leave_mark(room, puppet, **more):
    """Have a puppet be the wrapper of a `sentinel run` that has left its mark."""
    mark = runs.Mark(processes.boot_id(), puppet.pid, puppet.who.start, "make", "/srv")
    runs.write(room.where.runtime, msgspec.structs.replace(mark, **more))


def born(pid):
    """When a process was born, in monotonic seconds; now, when it is gone."""
    who = processes.identify(pid)
    if not isinstance(who, ProcessId):
        return time.monotonic()
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return who.start / processes.ticks_per_second() - since_boot


def until(true, what="it"):
    """Wait for something that must come."""
    deadline = time.monotonic() + HANG
    while not (answer := true()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.01)
    return answer


def comes(later):
    """All that is to be done later is done, with what follows from it."""
    while later:
        _, call, arguments = later.pop(0)
        call(*arguments)


def settles(pid):
    """Wait until a process is not within execve(2): ``Popen`` returns there, where nobody can tell what it runs."""

    def settled():
        program = processes.program(pid)
        return not isinstance(program, Unknown) or "replacing its program" not in program.why

    until(settled, f"{pid} having replaced its program")


def becomes(pid, name):
    """Wait until a process runs the program of that name: it has the name a moment before the arguments."""
    until(lambda: processes.comm(pid) == name and isinstance(processes.program(pid), tuple), f"{pid} as {name}")


def dead(pid):
    """Whether a process has ended, reaped or not."""
    now = processes.above(pid)
    return isinstance(now, Gone) or now.dead


def killed(number=signal.SIGKILL):
    """A death that the kernel told of."""
    return Death(time.monotonic(), int(number))


def ended(status=0):
    return Death(time.monotonic(), status << 8)


def make_program(directory, name):
    """A puppet that is recognised by the name of its program."""
    path = directory / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable} -IS\n{PUPPET}")
    path.chmod(0o755)
    return str(path)


def becoming(program, name):
    """Script of a puppet's child that becomes that program, and outlives the one that tells it what to do."""
    keep = "told, tell = os.pipe(); os.dup2(told, 0); os.set_inheritable(tell, True); "
    return f"{keep}os.execv({program!r}, [{name!r}])"


def end_everything():
    """End what the test left, and reap it. Only where nothing but the test has a number."""
    assert os.environ.get("SENTINEL_TEST_NAMESPACE")
    assert os.getpid() == 1
    for pid in processes.everyone():
        if pid != 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
