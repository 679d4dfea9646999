from __future__ import annotations

import asyncio

import pytest

from tests.handlers.room import HANG, Room, end_everything


@pytest.fixture
def room(where):
    it = Room(where)
    yield it
    it.close()
    end_everything()


@pytest.fixture
def run():
    """Run a coroutine; one that hangs fails."""

    def run(scenario):
        return asyncio.run(asyncio.wait_for(scenario, HANG))

    return run
