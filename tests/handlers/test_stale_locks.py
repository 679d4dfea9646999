"""The agent's part: from the birth of a lock to its removal, with real processes and files."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.bus import Bus
from sentinel.core.actions import Result
from sentinel.core.events import EventsLost, FileChanged, HolderEnded, LockKept, LockRemoved, SessionOpened
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Mode, Policy
from sentinel.core.rules.locks import FRESH
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.stale_locks import QUIET, StaleLocks
from sentinel.journal import Journal
from sentinel.locks import Lock
from sentinel.reaper import returns
from sentinel.reaper.quarantine import moment
from sentinel.sources.holders import HolderWatch
from tests.handlers.room import HANG, moves_files

pytestmark = [moves_files, pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]


class Watches:
    """Stands for inotify, so that a test says when what is told."""

    def __init__(self):
        self.watched = set()

    def watch(self, directory, *, writes=False):
        self.watched.add(directory)
        return True

    def unwatch(self, directory):
        self.watched.discard(directory)


class World:
    """A project with a session in it, and what was told."""

    def __init__(self, project, where, policy):
        self.project = project
        self.told = []
        self.bus, self.ledger = Bus(lambda *_: 0), Ledger()
        for kind in (LockRemoved, LockKept):
            self.bus.subscribe(kind, self.told.append)
        self.watches = Watches()
        self.kept_in = where.quarantine
        loop = asyncio.get_running_loop()
        self.handler = StaleLocks(
            self.bus,
            ledger=self.ledger,
            journal=Journal(where.journal, "boot"),
            watches=self.watches,
            holders=HolderWatch(self.bus, loop),
            policy=lambda: policy,
            later=loop.call_later,
            wished=lambda: (),
            kept_in=self.kept_in,
        )
        self.session = session = Session(Kind.RUN, "x", ProcessId(41, 7), directory=str(project))
        self.ledger.open(session, 0.0)
        self.bus.publish(SessionOpened(session, "found"))

    def lock(self, pid, name="server.pid", *, age=60.0):
        """A pid file, written so long ago; the agent is told."""
        path = self.project / name
        path.write_text(f"{pid}\n")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
        self.bus.publish(FileChanged(str(path)))
        return path

    async def until_told(self, number=1):
        async with asyncio.timeout(HANG):
            while len(self.told) < number:
                await asyncio.sleep(0.01)
        return self.told[number - 1]


@pytest.fixture
def project():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def play(project, where, monkeypatch):
    where.state.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(where.state))

    def play(scenario, policy=Policy()):  # noqa: B008 - it is frozen
        async def run():
            world = World(project, where, policy)
            try:
                await scenario(world)
            finally:
                world.handler.close()

        asyncio.run(run())

    return play


@pytest.fixture
def start():
    started = []

    def start(*words, **options):
        started.append(subprocess.Popen(words or ["sleep", "60"], **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def end(process):
    process.kill()
    process.wait()


def test_when_its_holder_dies_a_lock_is_removed_and_can_be_put_back(play, start):
    async def scenario(world):
        holder = start()
        path = world.lock(holder.pid)
        end(holder)
        event = await world.until_told()
        assert (event.path, event.outcome.result) == (str(path), Result.REMOVED)
        assert f"process {holder.pid}" in event.holder
        assert not path.exists()
        assert [it.path for it in returns.kept(world.kept_in, moment())] == [str(path)]

    play(scenario)


def test_mercy_while_its_holder_lives_it_stays_whatever_its_age(play, start):
    async def scenario(world):
        path = world.lock(start().pid, age=400 * 86400)
        world.bus.publish(EventsLost("files", "test"))
        await asyncio.sleep(0.5)
        assert path.exists()
        assert world.told == []

    play(scenario)


def test_a_fresh_one_is_removed_when_it_is_fresh_no_more(play, start):
    async def scenario(world):
        holder = start()
        path = world.lock(holder.pid, age=1.0)
        end(holder)
        await asyncio.sleep(0.5)
        assert path.exists()
        assert (await world.until_told()).outcome.result is Result.REMOVED

    play(scenario)


def test_mercy_who_tidies_up_within_the_quiet_time_has_nothing_taken(play, start):
    async def scenario(world):
        holder = start()
        path = world.lock(holder.pid)
        world.bus.subscribe(HolderEnded, lambda _: path.unlink())  # at once: the quiet time is short
        end(holder)
        await asyncio.sleep(0.5)
        assert not path.exists()
        assert world.told == []

    play(scenario)


def test_mercy_a_successor_within_the_quiet_time_keeps_its_lock(play, start):
    async def scenario(world):
        holder, successor = start(), start()
        path = world.lock(holder.pid)

        def take_over(event):
            if event.holder.pid == holder.pid:
                world.lock(successor.pid)

        world.bus.subscribe(HolderEnded, take_over)  # at once: the quiet time is short
        end(holder)
        await asyncio.sleep(0.5)
        assert path.read_text() == f"{successor.pid}\n"
        assert world.told == []
        end(successor)
        assert (await world.until_told()).outcome.result is Result.REMOVED

    play(scenario)


def test_mercy_a_number_that_nobody_saw_living_is_reported_and_stays(play, start):
    async def scenario(world):
        holder = start()
        end(holder)
        path = world.lock(holder.pid)
        event = await world.until_told()
        assert (event.guard, path.exists()) == ("elsewhere", True)
        world.bus.publish(EventsLost("files", "test"))
        await asyncio.sleep(0.5)
        assert len(world.told) == 1  # said once

    play(scenario)


def test_mercy_what_a_child_has_inherited_and_locked_stays(play, start, project):
    """Scenario 18."""
    script = (
        "import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR); fcntl.flock(f, 2); os.fork(); time.sleep(60)"
    )

    async def scenario(world):
        path = project / "server.pid"
        path.touch()
        holder = start(sys.executable, "-c", script, str(path), start_new_session=True)
        async with asyncio.timeout(HANG):
            while not (children := Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()):
                await asyncio.sleep(0.01)
        world.lock(holder.pid)
        child = os.pidfd_open(int(children[0]))
        end(holder)
        event = await world.until_told()
        assert event.guard == "in-use"
        assert f"(pid {children[0]})" in event.reason
        assert path.exists()
        import signal

        signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)

    play(scenario)


@pytest.mark.parametrize("policy", [Policy(Mode.OBSERVE), Policy(held="paused")])
def test_mercy_nothing_is_removed_while_nothing_may_be(play, start, policy):
    async def scenario(world):
        holder = start()
        path = world.lock(holder.pid)
        end(holder)
        assert (await world.until_told()).guard == "held-back"
        assert path.exists()

    play(scenario, policy)


def test_mercy_what_its_user_put_back_is_not_removed_again(play, start):
    async def scenario(world):
        holder = start()
        path = world.project / "deploy.lock"  # of our own kind: it proves without a witness whose it was
        Lock(path, pid=holder.pid).acquire()
        os.utime(path, (1, 1))
        world.bus.publish(FileChanged(str(path)))
        end(holder)
        await world.until_told()
        returns.put_in_place(world.kept_in, returns.kept(world.kept_in, moment())[0])
        world.bus.publish(FileChanged(str(path)))
        assert (await world.until_told(2)).guard == "returned"
        assert path.exists()

    play(scenario)


@pytest.mark.namespace
@pytest.mark.parametrize("is_directory", [False, True])
def test_mercy_the_lock_of_one_that_got_the_number_of_the_holder_before_it_stays(play, start, is_directory):
    """It names the same number, and its holder lives: that somebody with this number was seen to end says nothing."""

    async def scenario(world):
        holder = start()
        if is_directory:
            (world.project / "deploy.lock").mkdir()
        name = "deploy.lock/pid" if is_directory else "server.pid"
        path = world.lock(holder.pid, name).parent if is_directory else world.lock(holder.pid, name)
        os.utime(path, (1, 1))
        world.bus.publish(FileChanged(str(path)))
        end(holder)
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(holder.pid - 1))
        successor = start()
        assert successor.pid == holder.pid
        world.lock(successor.pid, name, age=0.0)
        await asyncio.sleep(QUIET + FRESH + 0.5)
        assert path.exists()
        assert world.told == []
        end(successor)
        assert (await world.until_told()).outcome.result is Result.REMOVED

    play(scenario)


@pytest.mark.namespace
def test_a_stranger_that_got_the_number_of_its_holder_keeps_no_lock(play, start):
    async def scenario(world):
        holder = start()
        path = world.lock(holder.pid)
        await asyncio.sleep(0.03)  # beyond the tick that it was born in: else the stranger would be the holder
        end(holder)
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(holder.pid - 1))
        assert start().pid == holder.pid
        assert (await world.until_told()).outcome.result is Result.REMOVED
        assert not path.exists()

    play(scenario)


def test_a_lock_that_says_only_later_who_holds_it(play, start):
    async def scenario(world):
        holder = start()
        directory = world.project / "deploy.lock"
        directory.mkdir()
        world.bus.publish(FileChanged(str(directory)))
        await asyncio.sleep(0.05)
        (directory / "pid").write_text(f"{holder.pid}\n")
        await asyncio.sleep(0.6)  # the next looks
        end(holder)
        os.utime(directory, (1, 1))
        assert (await world.until_told()).outcome.result is Result.REMOVED
        assert not directory.exists()

    play(scenario)


def test_all_locks_of_one_holder_fall_with_it(play, start):
    async def scenario(world):
        holder = start()
        paths = [world.lock(holder.pid, name) for name in ("a.pid", "b.pid", "c.lock")]
        end(holder)
        await world.until_told(3)
        assert [path.exists() for path in paths] == [False] * 3

    play(scenario)


def test_directories_are_watched_as_long_as_a_session_works_there(play, project):
    async def scenario(world):
        assert {str(project), f"{project}/.specweave/state"} <= world.watches.watched
        world.ledger.amend(replace(world.session, directory=""))
        world.handler.watch()
        assert world.watches.watched == set()

    play(scenario)
