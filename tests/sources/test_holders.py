from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from sentinel.bus import Bus
from sentinel.core.events import HolderEnded
from sentinel.core.facts import Gone
from sentinel.observe import processes
from sentinel.sources.holders import HolderWatch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
HANG = 20


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def watched(scenario):
    """Run a scenario with a watch and the ends that it told."""

    async def run():
        bus, told = Bus(lambda *_: 0), []
        bus.subscribe(HolderEnded, lambda event: told.append(event.holder))
        holders = HolderWatch(bus, asyncio.get_running_loop())
        try:
            async with asyncio.timeout(HANG):
                await scenario(holders, told)
        finally:
            holders.close()
        return told

    return asyncio.run(run())


def test_the_end_of_a_holder_is_told_once(sleeper):
    who = processes.identify(sleeper.pid)

    async def scenario(holders, told):
        assert holders.watch(sleeper.pid) == who
        assert holders.watch(sleeper.pid) == who  # two locks of one holder
        sleeper.kill()
        while not told:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    assert watched(scenario) == [who]


def test_of_one_that_is_forgotten_nothing_is_told(sleeper):
    async def scenario(holders, _):
        holders.forget(holders.watch(sleeper.pid))
        sleeper.kill()
        sleeper.wait()
        await asyncio.sleep(0.1)

    assert watched(scenario) == []


def test_the_dead_cannot_be_watched(sleeper):
    sleeper.kill()
    sleeper.wait()

    async def scenario(holders, _):
        assert isinstance(holders.watch(sleeper.pid), Gone)

    watched(scenario)
