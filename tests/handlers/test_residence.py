from __future__ import annotations

import asyncio
import os
import shutil

import pytest

from sentinel import client, instance, wire
from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SourceDegraded
from sentinel.errors import AlreadyRunning
from sentinel.handlers.residence import Residence
from sentinel.sources.inbox import Inbox


class House:
    """A lock and an inbox in place, and what was published and decided."""

    def __init__(self, where, claim):
        self.where, self.claim = where, claim
        self.bus = Bus(lambda *_: 0)
        self.inbox = Inbox(self.bus, where.inbox, lambda request, sender: type(request).__name__)
        self.stopped, self.said = [], []
        self.bus.subscribe(SourceDegraded, lambda event: self.said.append(event.why))
        self.residence = Residence(self.bus, where, claim, self.inbox, self.stopped.append)

    async def answers(self):
        return await asyncio.to_thread(client.ask, self.where.inbox, wire.Status())

    async def until_in_place(self):
        async with asyncio.timeout(30):
            while not (self.claim.in_place and self.inbox.in_place):
                await asyncio.sleep(0.01)


@pytest.fixture
def live(where):
    """Run a scenario in a house of its own."""

    def live(scenario):
        async def whole():
            with instance.claim(where) as claim:
                house = House(where, claim)
                await house.inbox.start()
                try:
                    await scenario(house)
                finally:
                    await house.inbox.close()

        asyncio.run(whole())

    return live


@pytest.mark.parametrize("what", ["runtime", "inbox", "lock"])
def test_what_was_removed_is_taken_up_again(live, where, what):
    async def scenario(house):
        path = getattr(where, what)
        shutil.rmtree(path) if what == "runtime" else path.unlink()
        house.bus.publish(FileChanged(str(path)))
        await house.until_in_place()
        assert await house.answers() == "Status"
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), instance.claim(where):
            pass
        assert instance.look(where).condition is instance.Condition.RUNNING
        assert not house.stopped

    live(scenario)


def test_a_lock_in_another_file_of_that_name_is_not_ours(live, where):
    async def scenario(house):
        where.lock.rename(where.lock.with_name("aside"))
        with instance.claim(where):
            house.bus.publish(FileChanged(str(where.lock)))
            (why,) = house.stopped
            assert "another agent" in why
            assert str(os.getpid()) in why

    live(scenario)


def test_what_is_in_place_is_left_as_it_is(live, where):
    async def scenario(house):
        before = os.stat(where.lock).st_ino, os.stat(where.inbox).st_ino
        house.bus.publish(FileChanged(str(where.inbox)))
        house.bus.publish(EventsLost("files", "a test"))
        await asyncio.sleep(0)
        assert (os.stat(where.lock).st_ino, os.stat(where.inbox).st_ino) == before

    live(scenario)


def test_a_place_that_cannot_be_had_is_said_once_and_tried_again(live, where):
    async def scenario(house):
        shutil.rmtree(where.runtime)
        where.runtime.write_text("in the way")
        house.bus.publish(FileChanged(str(where.runtime)))
        house.bus.publish(EventsLost("files", "a test"))
        (why,) = house.said
        assert "is not a directory" in why
        where.runtime.unlink()
        house.bus.publish(EventsLost("files", "a test"))
        await house.until_in_place()
        assert await house.answers() == "Status"

    live(scenario)


@pytest.mark.parametrize("moving", [False, True], ids=["at rest", "while it takes it up again"])
def test_who_has_left_takes_nothing_up_again(live, where, moving):
    """The agent says farewell to others for a while after that, and hears of its own socket's end."""

    async def scenario(house):
        if moving:
            where.inbox.unlink()
            house.bus.publish(FileChanged(str(where.inbox)))
        await house.residence.leave()
        house.bus.publish(FileChanged(str(where.inbox)))
        await asyncio.sleep(0.05)
        assert not where.inbox.exists()

    live(scenario)
