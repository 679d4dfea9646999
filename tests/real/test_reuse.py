"""Numbers that go to strangers at the worst moments: the strangers live, and it is said that their owners were gone.

A share here; ``make soak`` takes two thousand numbers away. The kernel is told which number
comes next (``ns_last_pid``), which it allows in a pid namespace of one's own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from sentinel.core.actions import Result
from sentinel.core.events import CleanedUp
from sentinel.core.policy import Policy
from sentinel.handlers.examiner import Examiner
from tests.handlers.room import HANG, Room, end_everything
from tests.handlers.test_cleanup import Stage

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
    pytest.mark.namespace,
    pytest.mark.soak,
]

MEMBERS = 20
BEFORE_SIGTERM = ("judged", "announced")
IN_THE_GRACE = ("asked to end", "judged again", "announced again")
_ROUNDS = dict(zip((*BEFORE_SIGTERM, *IN_THE_GRACE), (25, 25, 20, 15, 15), strict=True))
ROUNDS = _ROUNDS if os.environ.get("SENTINEL_SOAK") == "full" else dict.fromkeys(_ROUNDS, 1)
STUBBORN = "signal.signal(15, signal.SIG_IGN); ready(); time.sleep(60)"
_LAST = "/proc/sys/kernel/ns_last_pid"


class Thief:
    """Gives the numbers of processes to strangers, once, when its moment has come."""

    def __init__(self, moment):
        self.moment = moment
        self.victims = []
        self.strangers = {}

    def at(self, moment):
        """Take the numbers away if this is the moment."""
        if moment == self.moment and not self.strangers:
            for pid in self.victims:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # it has fallen to us: we are number 1 here
                self.strangers[pid] = self._stranger(pid)

    def _stranger(self, pid):
        with open(_LAST, "w") as last:
            last.write(str(pid - 1))
        stranger = subprocess.Popen(["sleep", "600"])
        assert stranger.pid == pid
        return stranger

    def all_live(self):
        """Whether none of the strangers has got a signal that it could not overhear."""
        return all(stranger.poll() is None for stranger in self.strangers.values())

    def let_go(self):
        for stranger in self.strangers.values():
            stranger.kill()
            stranger.wait()


class Eye(Examiner):
    """The real one; a moment passes after each further judgement."""

    thief: Thief
    first = True

    def left_by(self, record):
        verdicts = super().left_by(record)
        if not self.first:
            self.thief.at("judged again")
        self.first = False
        return verdicts


def watch(room, hand, thief):
    """Have the moments pass as the hand gets to them."""
    strike, intend = hand.strike, room.journal.intend
    intents = iter(("announced", "announced again"))

    def strike_late(action, cause, *more):
        thief.at("judged")
        asyncio.get_running_loop().call_later(0.02, thief.at, "asked to end")
        return strike(action, cause, *more)

    def intend_and_see(action, cause=0):
        seq = intend(action, cause)
        thief.at(next(intents))
        return seq

    hand.strike, room.journal.intend = strike_late, intend_and_see


async def play(room, thief):
    """One death, with a thief about. Returns what was said of each of its processes."""
    room.examiner = eye = Eye(room.ledger, room.handles, lambda: room.policy, room.us)
    eye.thief = thief
    stage = Stage(room)
    watch(room, stage.hand, thief)
    script = STUBBORN if thief.moment in IN_THE_GRACE else "time.sleep(60)"
    agent, _, thief.victims = stage.agent(*[script] * MEMBERS)
    stage.kill(agent)
    async with asyncio.timeout(HANG):
        await stage.clean_up.settle()
    room.exits.close()
    return [outcome for event in room.told(CleanedUp) for outcome in event.outcomes]


def _numbers_can_be_given():
    """Its mode says that everybody may write there; the kernel asks for a capability at the write."""
    try:
        with open(_LAST, "r+") as last:
            last.write(last.read())
    except OSError:
        return False
    return True


@pytest.mark.parametrize("moment", ROUNDS)
def test_a_stranger_that_gets_the_number_lives(where, moment):
    if not _numbers_can_be_given():
        pytest.skip("missing: root (to say which number comes next)")
    said = {Result.ENDED} if moment == "asked to end" else {Result.GONE}
    grace = HANG if moment == "asked to end" else 0.1  # to start so many strangers takes a busy machine longer than 0.1
    for _ in range(ROUNDS[moment]):
        room, thief = Room(where), Thief(moment)
        room.policy = Policy(kinds={kind: replace(wish, grace=grace) for kind, wish in Policy().kinds.items()})
        try:
            outcomes = asyncio.run(play(room, thief))
            assert len(thief.strangers) == MEMBERS
            assert thief.all_live()
            assert len(outcomes) == MEMBERS
            assert {outcome.result for outcome in outcomes} == said
        finally:
            thief.let_go()
            room.close()
            end_everything()
