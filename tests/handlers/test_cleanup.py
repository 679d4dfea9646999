"""The answer to a death: rounds of judging and ending, and what is said of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.actions import Result
from sentinel.core.events import (
    BreakerOpened,
    CleanedUp,
    HandlerFailed,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    SessionClosed,
    SessionDied,
    SessionJudged,
    Supervised,
)
from sentinel.core.facts import Departure
from sentinel.core.ledger import Witness
from sentinel.core.policy import Allowance, KindPolicy, Mode, Policy, Survivors
from sentinel.core.sessions import Belongings, Kind, SocketMark
from sentinel.core.verdicts import Condemned, Spared
from sentinel.handlers import cleanup, pursuit
from sentinel.handlers.cleanup import CleanUp
from sentinel.handlers.halting import Halting
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.second_look import SecondLook
from sentinel.history import History
from sentinel.observe import processes
from sentinel.reaper.signals import Signaller
from sentinel.sources.pidfds import ExitWatch
from sentinel.switches import SwitchBoard
from tests.handlers.room import HANG, born, dead, ended, killed, moves_files, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


class Hand(Signaller):
    """The real one, which keeps what it was asked for."""

    def __init__(self, room):
        super().__init__(room.handles, room.journal, room.us)
        self.asked = []

    def strike(self, action, cause, *more):
        self.asked.append(action)
        return super().strike(action, cause, *more)


@pytest.fixture
def idle():
    """Processes that nobody feeds: what has its input from the test would be in use."""
    started = []

    def idle():
        started.append(subprocess.Popen(["/bin/sleep", "60"], stdin=subprocess.DEVNULL, start_new_session=True))
        return started[-1]

    yield idle
    for process in started:
        process.kill()
        process.wait()


class Stage:
    """A room in which dead sessions are cleaned up after."""

    def __init__(self, room, births=()):
        self.room = room
        self.hand = Hand(room)
        self.births = list(births)
        room.exits = ExitWatch(room.bus, room.handles, self.catch_up)
        room.exits.start(asyncio.get_running_loop())
        room.keep_books()
        self.leftovers = Leftovers(room.ledger, room.journal, room.where.quarantine, os.getuid())
        self.clean_up = CleanUp(
            room.bus,
            ledger=room.ledger,
            examiner=room.examiner,
            signaller=self.hand,
            leftovers=self,
            policy=room.wishes,
            restraint=Restraint(room.bus, room.ledger, room.wishes, room.switches, os.getuid()),
            catch_up=self.catch_up,
        )

    def catch_up(self):
        for birth in list(self.births):
            birth()

    def remove(self, session, policy, tried=()):
        return self.leftovers.remove(session, policy, tried)

    def agent(self, *scripts, name="claude"):
        """An agent with a child for each script. Returns it, its session and the children."""
        agent = self.room.start()
        session = self.room.open(agent.pid, name=name)
        children = [self.bore(agent.pid, agent.do(f"bear({script!r})")) for script in scripts]
        return agent, session, children

    def bore(self, parent, child):
        self.room.forked(parent, child)
        self.room.exits.watch(self.room.ledger.member(child).id)
        return child

    def nested(self):
        """An agent, one inside of it, the outer session, and a foundling of that: perhaps the inner one's work."""
        outer, inner = self.room.start(), self.room.start()
        around = self.room.open(outer.pid)
        far = outer.do(f"bear({SLEEP!r})")
        self.room.open(inner.pid, name="codex", outer=around.key)
        who, now = self.room.handles.take(far), time.monotonic()
        self.room.ledger.claim(who, around.key, now, Departure(now, clean=None), Witness.LOOK)
        self.room.exits.watch(who)
        return outer, inner, around, who

    def kill(self, agent):
        agent.end()
        self.room.bus.publish(ProcessExited(agent.pid, killed()))

    async def closed(self, count=1):
        async with asyncio.timeout(HANG):
            while len(self.room.told(SessionClosed)) < count:
                await asyncio.sleep(0.01)


def results(room):
    return [outcome.result for event in room.told(CleanedUp) for outcome in event.outcomes]


SLEEP = "ready(); time.sleep(60)"
STUBBORN = "signal.signal(15, signal.SIG_IGN); ready(); time.sleep(60)"


def test_what_a_dead_session_left_is_ended_and_the_session_closed_last(room, run):
    async def scenario():
        stage = Stage(room)
        agent, _, children = stage.agent("time.sleep(60)", "time.sleep(60)")
        stage.kill(agent)
        await stage.closed()
        return children

    children = run(scenario())
    assert all(dead(child) for child in children)
    assert results(room) == [Result.ENDED, Result.ENDED]
    order = [type(event) for event in room.events if type(event) in {SessionDied, SessionJudged, CleanedUp}]
    assert order == [SessionDied, SessionJudged, CleanedUp]
    assert type(room.events[-1]) is SessionClosed
    assert list(room.ledger.sessions()) == []
    assert len(room.handles) == 0


def test_a_dead_session_whose_death_was_not_answered_yet_is_not_closed(room, run):
    # One that was taken over from the agent before, and waits for its second look.
    async def scenario():
        stage = Stage(room)
        agent, session, (child,) = stage.agent("time.sleep(60)")
        agent.end()
        death = killed()
        room.ledger.exited(agent.pid, death)
        os.kill(child, signal.SIGKILL)
        while room.ledger.record(session.key).members:
            await asyncio.sleep(0.01)
        assert room.told(SessionClosed) == []
        room.bus.publish(SessionDied(session, death))
        await stage.closed()

    run(scenario())
    assert list(room.ledger.sessions()) == []


def test_everything_is_recorded_as_the_consequence_of_the_death(room, run):
    async def scenario():
        stage = Stage(room)
        agent, *_ = stage.agent("time.sleep(60)")
        stage.kill(agent)
        await stage.closed()

    run(scenario())
    records = [entry.record for entry in History(room.where.journal).read()]
    died = next(r for r in records if r["type"].endswith("session.died"))
    after = {r["type"].removeprefix("dev.sentinel."): r["cause"] for r in records if r["seq"] > died["seq"]}
    assert set(after) == {"session.judged", "action.intended", "cleanup.done", "session.closed"}
    assert set(after.values()) == {died["seq"]}
    intent = next(r for r in records if r["type"].endswith("action.intended"))
    assert room.told(CleanedUp)[0].intent == intent["seq"]


def test_a_session_that_left_nothing_is_closed_at_once(room, run):
    async def scenario():
        stage = Stage(room)
        agent, *_ = stage.agent()
        stage.kill(agent)
        await stage.closed()

    run(scenario())
    assert room.told(CleanedUp) == []
    assert len(room.told(SessionClosed)) == 1


def test_who_obeys_only_force_is_killed_after_the_grace(room, run):
    room.policy = Policy(kinds={kind: _patient(wishes, 0.2) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent(STUBBORN)
        stage.kill(agent)
        await stage.closed()
        return child

    assert dead(run(scenario()))
    assert results(room) == [Result.KILLED]


def _patient(wishes, grace):
    from dataclasses import replace

    return replace(wishes, grace=grace)


def on_term(script):
    """A process that bears another at SIGTERM, tells of it and ends."""
    script = f"signal.signal(15, signal.SIG_DFL); {script}"
    return f"signal.signal(15, lambda *_: (print(bear({script!r}), flush=True), os._exit(0))); {SLEEP}"


def heir_of(stage, agent, child):
    """Tell of the one that was borne at SIGTERM. A real source has it from the kernel."""

    def told():
        if (line := agent.stdout.readline().strip()) and line.isdigit():
            stage.births.clear()
            stage.newborn = int(line)
            if stage.wait_for_newborn:
                while not dead(stage.newborn):
                    time.sleep(0.01)
                stage.room.bus.publish(ProcessForked(child, stage.newborn, time.monotonic()))
            else:
                stage.bore(child, stage.newborn)

    return told


@pytest.mark.parametrize("stays", [True, False])
def test_one_that_is_borne_during_the_clean_up_is_ended_in_the_next_round_if_it_stays(room, run, stays):
    async def scenario():
        stage = Stage(room)
        stage.wait_for_newborn = not stays
        agent, _, (child,) = stage.agent(on_term("time.sleep(60)" if stays else "time.sleep(0.05)"))
        stage.births = [heir_of(stage, agent, child)]
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        room.bus.publish(ProcessExited(agent.pid, killed()))
        await stage.clean_up.settle()
        if not stays:  # its end is told like any other
            room.bus.publish(ProcessExited(stage.newborn, killed()))
        await stage.closed()
        return stage

    stage = run(scenario())
    assert dead(stage.newborn)
    assert len(stage.hand.asked) == (2 if stays else 1)
    assert results(room) == [Result.ENDED] * (2 if stays else 1)


def test_one_that_is_told_right_after_the_judgement_is_judged_as_well(room, run):
    async def scenario():
        stage = Stage(room)
        agent = room.start()
        room.open(agent.pid)
        child, grandchild = agent.bear_through(between="time.sleep(60)")
        stage.bore(agent.pid, child)
        stage.kill(agent)
        stage.bore(child, grandchild)  # in the same batch of notices
        await stage.closed()
        return grandchild

    assert dead(run(scenario()))
    assert results(room) == [Result.ENDED] * 2


def test_what_forks_for_ever_gets_no_more_grace_and_is_given_up_some_time(room, run, idle, monkeypatch):
    monkeypatch.setattr(pursuit, "_LONGEST", 0.5)
    room.policy = Policy(kinds={kind: _patient(wishes, 0.1) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, *_ = stage.agent("time.sleep(60)")
        brief = agent.do("bear('pass')")
        agent.do(f"os.waitpid({brief}, 0)[0]")
        room.forked(agent.pid, brief)  # it is gone, and stays in the book: through it comes what is new
        newborn = []

        def one_more():
            puppet = idle()
            newborn.append(puppet)
            room.bus.publish(ProcessForked(brief, puppet.pid, born(puppet.pid)))

        stage.births = [one_more]
        stage.kill(agent)
        await stage.clean_up.settle()
        return stage, newborn

    stage, newborn = run(scenario())
    graces = [action.grace for action in stage.hand.asked]
    assert graces == [0.1] * 2 + [0.0] * (len(graces) - 2)
    assert len(graces) > 3
    if not dead(newborn[-1].pid):  # borne within the last second look, when it was given up
        newborn.pop()
    assert all(dead(puppet.pid) for puppet in newborn)
    assert len(results(room)) == len(newborn) + 1


def hopping(stage, brief, puppets):
    """Tells at each look that one more was born, and has all but the last ended by then."""

    def told():
        if not puppets:
            stage.births.clear()
            return
        if (puppet := puppets.pop(0)) and puppets:
            puppet.kill()
            puppet.wait()
        stage.room.bus.publish(ProcessForked(brief, puppet.pid, time.monotonic()))
        stage.caught = puppet

    return told


def test_what_hops_is_followed_while_there_is_nobody_to_strike_at(room, run, idle):
    async def scenario():
        stage = Stage(room)
        agent, *_ = stage.agent()
        brief = agent.do("bear('pass')")
        agent.do(f"os.waitpid({brief}, 0)[0]")
        room.forked(agent.pid, brief)
        stage.births = [hopping(stage, brief, [idle() for _ in range(6)])]
        stage.kill(agent)
        await stage.clean_up.settle()
        return stage

    stage = run(scenario())
    assert dead(stage.caught.pid)
    assert results(room) == [Result.ENDED]


def test_what_a_spared_one_bears_and_leaves_is_spared(room, run):
    """A daemon that goes on in a child: nobody hangs under anybody that is spared then."""

    async def scenario():
        stage = Stage(room)
        agent, _, (doomed,) = stage.agent("time.sleep(60)")
        between, daemon = agent.bear_through(
            "os.setsid(); null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, fd) for fd in range(3)]; time.sleep(60)"
        )
        stage.bore(agent.pid, between)
        stage.bore(between, daemon)
        agent.do(f"os.waitpid({between}, 0)[0]")
        room.bus.publish(ProcessExited(between, ended()))
        heir = room.start()

        def goes_on():
            stage.births.clear()
            room.bus.publish(ProcessForked(daemon, heir.pid, time.monotonic()))

        stage.births = [goes_on]
        stage.kill(agent)
        await stage.clean_up.settle()
        assert dead(doomed)
        return heir

    assert not dead(run(scenario()).pid)


def test_who_was_struck_once_and_is_still_there_is_not_struck_again(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        agent, *_ = stage.agent("time.sleep(60)")

        async def finish(strike, look_again):
            for who in list(strike.grips):
                strike.settle(who, Result.SURVIVED, "a test says so")
            return tuple(strike.outcomes.values())

        monkeypatch.setattr(stage.hand, "_send", lambda *_: None)
        monkeypatch.setattr(stage.hand, "finish", finish)
        stage.kill(agent)
        await stage.clean_up.settle()
        return stage

    stage = run(scenario())
    assert len(stage.hand.asked) == 1
    assert results(room) == [Result.SURVIVED]
    assert room.told(SessionClosed) == []


def test_in_observe_mode_it_is_judged_and_nothing_is_done(room, run):
    room.policy = Policy(mode=Mode.OBSERVE)

    async def scenario():
        stage = Stage(room)
        agent, session, (child,) = stage.agent("time.sleep(60)")
        stage.kill(agent)
        await stage.clean_up.settle()
        assert not dead(child)
        assert room.ledger.record(session.key) is not None
        os.kill(child, signal.SIGKILL)
        await stage.closed()
        return stage

    stage = run(scenario())
    assert stage.hand.asked == []
    assert [type(verdict) for verdict in room.told(SessionJudged)[0].processes] == [Condemned]
    assert room.told(CleanedUp) == []


def test_several_that_die_at_once_do_not_wait_for_each_other(room, run):
    async def scenario():
        stage = Stage(room)
        slow, _, (stubborn,) = stage.agent(STUBBORN, name="codex")
        quick = [stage.agent("time.sleep(60)", "time.sleep(60)") for _ in range(4)]
        for agent in (slow, *(agent for agent, *_ in quick)):
            stage.kill(agent)
        await stage.closed(4)
        was_dead = dead(stubborn)
        await stage.closed(5)
        return was_dead, [pid for _, _, children in quick for pid in children]

    was_dead, others = run(scenario())
    assert all(dead(pid) for pid in others)
    assert not was_dead
    assert [event.session.name for event in room.told(SessionClosed)] == ["claude"] * 4 + ["codex"]


def test_a_farewell_waits_for_all_of_them(room, run):
    async def scenario():
        stage = Stage(room)
        agents = [stage.agent("time.sleep(60)") for _ in range(3)]
        for agent, *_ in agents:
            stage.kill(agent)
        await stage.clean_up.settle()
        return [child for _, _, (child,) in agents]

    assert all(dead(pid) for pid in run(scenario()))
    assert len(room.told(CleanedUp)) == 3


# -- what works for somebody -----------------------------------------------------------------

SERVE = """
import socket
server = socket.create_server(("127.0.0.1", 0))
os.write({tell}, str(server.getsockname()[1]).encode())
caller, _ = server.accept()
time.sleep(60)
"""


def serving(stage):
    """A dead agent's server with a client, and a child that serves nobody."""
    agent, session, (idle,) = stage.agent("time.sleep(60)")
    told = agent.do("globals().update(pipe=os.pipe()) or 1")
    assert told == 1
    server = stage.bore(agent.pid, agent.do(f"bear({SERVE!r}.format(tell=pipe[1]))"))
    client = socket.create_connection(("127.0.0.1", agent.do("int(os.read(pipe[0], 9))")))
    return agent, session, idle, server, client


def test_what_serves_somebody_is_held_and_ended_when_nobody_is_left(room, run):
    async def scenario():
        stage = Stage(room)
        agent, session, idle, server, client = serving(stage)
        stage.kill(agent)
        await stage.clean_up.settle()
        assert (dead(idle), dead(server)) == (True, False)
        (judged,) = room.told(SessionJudged)
        (held,) = [verdict for verdict in judged.processes if isinstance(verdict, Spared)]
        assert (held.id.pid, held.guard) == (server, "serving")
        await asyncio.sleep(0.3)
        assert not dead(server)  # it was looked at again meanwhile
        assert not room.ledger.record(session.key).settled  # so that the next agent looks again as well
        client.close()
        await stage.closed()
        return server

    assert dead(run(scenario()))
    assert len(room.told(SessionJudged)) == 2
    assert results(room) == [Result.ENDED, Result.ENDED]


def test_looks_at_what_serves_become_rarer_and_end_with_it(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        agent, _, _, server, client = serving(stage)
        pauses, really = [], asyncio.sleep
        monkeypatch.setattr(cleanup, "_CLIENT_LOOKS", (0.01, 0.04))

        async def sleep(seconds):
            pauses.append(seconds)
            await really(seconds)

        monkeypatch.setattr(cleanup.asyncio, "sleep", sleep)
        stage.kill(agent)
        await stage.clean_up.settle()
        while len(pauses) < 5:
            await really(0.01)
        os.kill(server, signal.SIGKILL)
        await stage.closed()
        client.close()
        told = len(pauses)
        await really(0.1)
        assert len(pauses) == told
        return [pause for pause in pauses if pause in (0.01, 0.02, 0.04)][:4]

    assert run(scenario()) == [0.01, 0.02, 0.04, 0.04]


def test_what_could_not_be_ended_when_its_client_went_is_not_struck_again_and_again(room, run, monkeypatch):
    async def scenario():
        monkeypatch.setattr(cleanup, "_CLIENT_LOOKS", (0.01, 0.02))
        stage = Stage(room)
        agent, _, _, server, client = serving(stage)
        stage.kill(agent)
        await stage.clean_up.settle()
        Halting(room.bus, room.switches).pause(None)
        client.close()
        await asyncio.sleep(0.2)
        return len(stage.hand.asked), dead(server)

    assert run(scenario()) == (1, False)


# -- when something is broken ----------------------------------------------------------------


def test_files_that_cannot_be_tidied_are_a_failure_that_is_told_and_the_session_is_closed(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        monkeypatch.setattr(stage, "remove", broken)
        agent, _, (child,) = stage.agent("time.sleep(60)")
        stage.kill(agent)
        await stage.closed()
        return child

    assert dead(run(scenario()))  # the signal was sent before
    (failure,) = room.told(HandlerFailed)
    assert failure.error == "OSError: a test says so"


def test_a_session_that_is_closed_long_after_is_closed_because_of_the_death(room, run):
    room.policy = Policy(mode=Mode.OBSERVE)

    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent("time.sleep(60)")
        stage.kill(agent)
        await stage.clean_up.settle()
        os.kill(child, signal.SIGKILL)
        await stage.closed()

    run(scenario())
    records = {e.record["type"].removeprefix("dev.sentinel."): e.record for e in History(room.where.journal).read()}
    assert records["session.closed"]["cause"] == records["session.died"]["seq"]


@pytest.mark.parametrize("scripts", [(), ("time.sleep(60)",)])
def test_a_judgement_that_fails_is_told_and_does_not_keep_the_session_for_ever(room, run, monkeypatch, scripts):
    async def scenario():
        stage = Stage(room)
        monkeypatch.setattr(room.examiner, "left_by", broken)
        agent, _, children = stage.agent(*scripts)
        stage.kill(agent)
        await stage.clean_up.settle()
        assert not any(dead(child) for child in children)
        for child in children:
            os.kill(child, signal.SIGKILL)
        await stage.closed()
        return stage

    stage = run(scenario())
    assert [failure.error for failure in room.told(HandlerFailed)] == ["OSError: a test says so"]
    assert stage.hand.asked == []


def test_one_that_fails_does_not_stop_the_others(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        monkeypatch.setattr(stage, "remove", lambda session, *_: broken() if session.name == "codex" else [])
        bad, *_ = stage.agent("time.sleep(60)", name="codex")
        good, _, (child,) = stage.agent("time.sleep(60)")
        stage.kill(bad)
        stage.kill(good)
        await stage.closed(2)
        return child

    assert dead(run(scenario()))
    assert len(room.told(HandlerFailed)) == 1
    assert [event.session.name for event in room.told(CleanedUp)] == ["claude"]


def test_a_death_of_a_session_that_nobody_knows_means_nothing(room, run):
    async def scenario():
        stage = Stage(room)
        agent, session, _ = stage.agent()
        stage.kill(agent)
        await stage.closed()
        room.bus.publish(SessionDied(session, killed()))
        await stage.clean_up.settle()

    run(scenario())
    assert len(room.told(SessionJudged)) == 1
    assert len(room.told(SessionClosed)) == 1


def broken(*_):
    raise OSError("a test says so")


def nobody_can_tell(room, monkeypatch, times):
    """Have the first looks at what was left bring no answer.

    A stand-in: what cannot be read is a process that is just ending, and as root not even that.
    """
    looks = []
    really = room.examiner.left_by

    def left_by(record):
        looks.append(record)
        verdicts = really(record)
        return tuple(Spared(v.id, "unknown", "no answer") for v in verdicts) if len(looks) <= times else verdicts

    monkeypatch.setattr(room.examiner, "left_by", left_by)
    return looks


def test_what_nobody_could_tell_of_is_looked_at_again(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        agent, _, children = stage.agent("time.sleep(60)")
        nobody_can_tell(room, monkeypatch, 2)
        stage.kill(agent)
        await stage.closed()
        return children

    children = run(scenario())
    assert all(map(dead, children))
    assert results(room) == [Result.ENDED]
    assert room.told(CleanedUp)[0].intent


def test_who_was_struck_does_not_wait_for_the_answer_about_another(room, run, monkeypatch):
    monkeypatch.setattr(cleanup, "SECOND_LOOKS", (600.0,))
    room.policy = Policy(kinds={kind: _patient(wishes, 0.05) for kind, wishes in Policy().kinds.items()})
    really = room.examiner.left_by

    async def scenario():
        stage = Stage(room)
        agent, _, (stubborn, silent) = stage.agent(STUBBORN, SLEEP)

        def left_by(record):
            return tuple(Spared(v.id, "unknown", "no answer") if v.id.pid == silent else v for v in really(record))

        monkeypatch.setattr(room.examiner, "left_by", left_by)
        stage.kill(agent)
        async with asyncio.timeout(HANG):
            while not dead(stubborn):
                await asyncio.sleep(0.01)
        assert not dead(silent)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run(scenario())


def test_what_nobody_can_ever_tell_of_is_spared_in_the_end(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        agent, session, children = stage.agent("time.sleep(60)")
        looks = nobody_can_tell(room, monkeypatch, 1000)
        stage.kill(agent)
        async with asyncio.timeout(HANG):
            await stage.clean_up.settle()
        assert len(looks) > 1
        assert not any(map(dead, children))
        assert room.ledger.record(session.key) is not None

    run(scenario())
    assert results(room) == []


@moves_files
def test_a_socket_that_the_last_survivor_held_goes_with_it(room, run, tmp_path):
    async def scenario():
        path = str(tmp_path / "held.sock")
        room.policy = Policy(kinds=dict.fromkeys(Kind, KindPolicy(survivors=Survivors.REPORT)))
        stage = Stage(room)
        agent, session, (child,) = stage.agent(f"s = __import__('socket').socket(1); s.bind({path!r}); {SLEEP}")
        belongings = Belongings((SocketMark(path),))
        room.ledger.amend(replace(room.ledger.record(session.key).session, belongings=belongings))
        stage.kill(agent)
        async with asyncio.timeout(HANG):
            await stage.clean_up.settle()
        assert os.path.lexists(path)
        os.kill(child, signal.SIGKILL)
        await stage.closed()
        return path

    path = run(scenario())
    assert not os.path.lexists(path)
    assert results(room) == [Result.KEPT, Result.REMOVED]


def test_while_it_is_paused_nothing_is_ended_and_each_outcome_says_so(room, run):
    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent(SLEEP)
        Halting(room.bus, room.switches).pause(None)
        stage.kill(agent)
        await stage.clean_up.settle()
        assert not dead(child)
        assert stage.hand.asked == []
        ((outcome,),) = [event.outcomes for event in room.told(CleanedUp)]
        assert (outcome.result, outcome.reason) == (Result.HELD, "a person has paused Sentinel")
        assert outcome.target == str(room.ledger.member(child).id)

    run(scenario())


def test_a_pause_within_the_grace_spares_who_got_sigterm_only(room, run):
    room.policy = Policy(kinds={kind: _patient(wishes, 0.5) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent(STUBBORN)
        stage.kill(agent)
        assert len(stage.hand.asked) == 1
        # Another process's word, and nobody tells the agent: the file is enough.
        Halting(room.bus, SwitchBoard(room.where.switches, processes.boot_id())).pause(None)
        await stage.clean_up.settle()
        assert not dead(child)
        ((outcome,),) = [event.outcomes for event in room.told(CleanedUp)]
        assert outcome.result is Result.REFUSED
        assert outcome.reason == "it was sent SIGTERM and is spared now: a person has paused Sentinel"

    run(scenario())


def test_beyond_the_budget_what_dies_is_only_reported(room, run):
    room.policy = Policy(budget=Allowance(causes=2))

    async def scenario():
        stage = Stage(room)
        agents = [stage.agent(SLEEP, name=f"claude{number}") for number in range(4)]
        for agent, *_ in agents:
            stage.kill(agent)
        await stage.clean_up.settle()
        left = [child for *_, (child,) in agents if not dead(child)]
        assert left == [child for *_, (child,) in agents[2:]]
        assert sorted(results(room)) == [Result.ENDED, Result.ENDED, Result.HELD, Result.HELD]
        assert len(room.told(BreakerOpened)) == 1

    run(scenario())


SUPERVISOR = """
signal.signal(15, signal.SIG_IGN)
while True:
    if not (child := os.fork()):
        signal.signal(15, signal.SIG_DFL)
        time.sleep(60)
        os._exit(0)
    ready()
    os.waitpid(child, 0)
"""


def test_what_a_living_parent_starts_again_each_time_is_left_alone_with_its_name(room, run, monkeypatch):
    room.policy = Policy(kinds={kind: _patient(wishes, 0.2) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, session, (parent,) = stage.agent(SUPERVISOR)
        verdict = SecondLook.__call__

        def look(self, who):  # stands for a package manager, or a debugger that came within the grace
            return Spared(who, "no-kill", "it may not be killed") if who.pid == parent else verdict(self, who)

        monkeypatch.setattr(SecondLook, "__call__", look)

        def tell_of_births():
            until(lambda: not all(map(dead, processes.children(parent))), "the next one's birth")
            for child in processes.children(parent):
                if child not in room.ledger:
                    room.forked(parent, child)

        stage.births.append(tell_of_births)
        tell_of_births()
        stage.kill(agent)
        await stage.clean_up.settle()
        # One that gets SIGTERM before it has put the handler back is killed instead.
        assert sum(result in {Result.ENDED, Result.KILLED} for result in results(room)) == 2, room.told(CleanedUp)
        (told,) = room.told(Supervised)
        assert (told.session, told.by, told.by_name) == (session, parent, processes.comm(parent))
        assert processes.children(parent) == [told.process.pid]
        assert not dead(told.process.pid)

    run(scenario())


def test_what_was_spared_for_the_sake_of_a_session_inside_is_judged_again_when_that_one_dies(room, run):
    # An Overmind and its tmux server end within the same millisecond, and either may be told first.
    async def scenario():
        stage = Stage(room)
        outer = room.start()
        around = room.open(outer.pid)
        far = outer.do(f"bear({SLEEP!r})")
        inner = room.start()
        session = room.open(inner.pid, name="codex", outer=around.key)
        who = room.handles.take(far)
        now = time.monotonic()
        room.ledger.claim(who, around.key, now, Departure(now, clean=None), Witness.LOOK)
        room.exits.watch(who)
        stage.kill(outer)
        while room.ledger.record(around.key) and not room.ledger.record(around.key).settled:
            await asyncio.sleep(0.01)
        (spared,) = room.told(SessionJudged)[0].processes
        assert (spared.guard, dead(far)) == ("inner-session", False)
        stage.kill(inner)
        await stage.closed(2)
        return far, session, around

    far, session, around = run(scenario())
    assert dead(far)
    told = [(event.session.key, len(event.processes)) for event in room.told(SessionJudged)]
    assert told == [(around.key, 1), (session.key, 0), (around.key, 1)]
    assert results(room) == [Result.ENDED]


def test_what_the_agent_before_us_had_spared_is_judged_again_too(room, run):
    async def scenario():
        stage = Stage(room)
        outer, inner, around, who = stage.nested()
        outer.end()
        room.ledger.exited(outer.pid, killed())
        room.ledger.settle(room.ledger.record(around.key))
        room.ledger.judged([Spared(who, "inner-session", "by the agent before")])
        stage.kill(inner)
        await stage.closed(2)
        return who.pid

    assert dead(run(scenario()))
    assert results(room) == [Result.ENDED]


HANDS_OVER = (
    "os.setsid(); null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, fd) for fd in range(3)];"
    "worker = bear(); open({place!r}, 'w').write(str(worker))\n"
    "while os.path.exists({place!r}): time.sleep(0.01)"
)


def test_what_a_spared_daemon_leaves_when_it_hands_over_is_spared_when_a_session_inside_dies(room, run, tmp_path):
    """A server that renews itself bears the next one and ends. Nothing else speaks for that one by then."""

    async def scenario():
        stage = Stage(room)
        outer, inner = room.start(), room.start()
        around = room.open(outer.pid)
        room.open(inner.pid, name="codex", outer=around.key)
        place = tmp_path / "worker"
        between, daemon = outer.bear_through(HANDS_OVER.format(place=str(place)))
        worker = int(until(lambda: place.exists() and place.read_text()))
        for parent, child in ((outer.pid, between), (between, daemon), (daemon, worker)):
            stage.bore(parent, child)
        lost = stage.bore(outer.pid, outer.do("bear()"))
        foundling = room.ledger.member(lost)  # and so it may be the work of the session inside
        foundling.witness, foundling.left = Witness.LOOK, Departure(foundling.since, clean=None)
        outer.do(f"os.waitpid({between}, 0)")
        room.bus.publish(ProcessExited(between, ended()))
        stage.kill(outer)
        async with asyncio.timeout(HANG):
            while not room.ledger.record(around.key).settled:
                await asyncio.sleep(0.01)
        place.unlink()
        until(lambda: dead(daemon))
        room.bus.publish(ProcessExited(daemon, ended()))
        stage.kill(inner)
        async with asyncio.timeout(HANG):
            while not dead(lost):
                await asyncio.sleep(0.01)
        await stage.clean_up.settle()
        return worker

    worker = run(scenario())
    assert not dead(worker)
    last = room.told(SessionJudged)[-1].processes
    assert [verdict.guard for verdict in last if verdict.id.pid == worker] == ["sheltered"]


def test_a_second_judgement_that_fails_is_told(room, run, monkeypatch):
    async def scenario():
        stage = Stage(room)
        outer, inner, around, _ = stage.nested()
        stage.kill(outer)
        while not room.ledger.record(around.key).settled:
            await asyncio.sleep(0.01)
        left_by = room.examiner.left_by

        def fails(record):
            if record.session.key == around.key:
                raise OSError("a test says so")
            return left_by(record)

        monkeypatch.setattr(room.examiner, "left_by", fails)
        stage.kill(inner)
        await stage.closed()
        async with asyncio.timeout(HANG):
            while not room.told(HandlerFailed):
                await asyncio.sleep(0.01)

    run(scenario())
    assert "a test says so" in room.told(HandlerFailed)[0].error


async def refuses_late(stage, late, meanwhile, agent, child, *, monkeypatch):
    """Have an agent die and one of its signals wait for the disk; what happens ``meanwhile`` spares the child."""
    journal, intents = stage.room.journal, []
    intend = journal.intend

    def wait_for_the_disk(action, cause=0):
        intents.append(action)
        if len(intents) == 1 + (late == "SIGKILL"):
            time.sleep(0.4)
            meanwhile()
        return intend(action, cause)

    monkeypatch.setattr(journal, "intend", wait_for_the_disk)
    stage.kill(agent)
    await stage.clean_up.settle()
    ((outcome,),) = [event.outcomes for event in stage.room.told(CleanedUp)]
    assert outcome.result is Result.REFUSED
    assert outcome.reason.startswith({"SIGTERM": "it was about to be sent SIGTERM", "SIGKILL": "it was sent"}[late])
    assert not dead(child)


@pytest.mark.parametrize("late", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("change", ["pause", "stopped"])
def test_mercy_what_changes_while_the_journal_keeps_a_signal_waiting_counts(room, run, monkeypatch, late, change):
    """A busy disk may take seconds for a line, and the agent may be stopped at any moment."""
    room.policy = Policy(kinds={kind: _patient(wishes, 0.3) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent(STUBBORN)

        def meanwhile():
            if change == "pause":
                Halting(room.bus, SwitchBoard(room.where.switches, processes.boot_id())).pause(None)
            else:
                os.kill(child, signal.SIGSTOP)
                until(lambda: processes.look(child).state == "T")

        await refuses_late(stage, late, meanwhile, agent, child, monkeypatch=monkeypatch)

    run(scenario())


@pytest.mark.parametrize("late", ["SIGTERM", "SIGKILL"])
def test_mercy_what_became_a_session_while_a_signal_was_kept_waiting_lives(room, run, monkeypatch, late):
    """An orphaned shell may exec a coding agent; the kernel has told it, and nobody has listened yet."""
    room.policy = Policy(kinds={kind: _patient(wishes, 0.3) for kind, wishes in Policy().kinds.items()})

    async def scenario():
        stage = Stage(room)
        agent, _, (child,) = stage.agent(STUBBORN)
        room.bus.subscribe(ProcessExecuted, lambda event: room.open(event.pid))  # as discovery does

        def meanwhile():
            stage.births.append(lambda: (stage.births.clear(), room.bus.publish(ProcessExecuted(child))))

        await refuses_late(stage, late, meanwhile, agent, child, monkeypatch=monkeypatch)

    run(scenario())
