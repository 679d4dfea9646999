"""One agent after the other, with real processes: what is handed on, and what is not believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sentinel import atomic, ledgerfile
from sentinel.core import snapshot
from sentinel.core.events import (
    KeepSaid,
    LedgerRestored,
    ProcessExited,
    SessionDied,
    SessionEmptied,
    SessionOpened,
    SourceDegraded,
)
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.ledger import Witness
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.sessions import Kind
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.snapshots import Snapshots
from sentinel.handlers.sweep import Sweep
from sentinel.observe import processes
from tests.handlers.room import Room, becomes, dead, killed, make_program, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

SLEEP = "os.execv('/bin/sleep', ['sleep', '60'])"


class Agent(Room):
    """A room whose ledger outlives it. ``timers`` has what was asked to be done later."""

    def __init__(self, where, *, sampled=False, grace=4.0):
        super().__init__(where, Policy(kinds=dict.fromkeys(Kind, KindPolicy(grace=grace))))
        self.timers = []
        shared = {"ledger": self.ledger, "handles": self.handles, "bookkeeper": self.keep_books(sampled=sampled)}
        self.discovery = Discovery(self.bus, **shared, openings=self.openings, later=self.later)
        self.snapshots = Snapshots(
            self.bus,
            **shared,
            discovery=self.discovery,
            path=where.ledger,
            policy=lambda: self.policy,
            later=self.later,
            uid=os.getuid(),
        )
        self.sweep = Sweep(
            self.bus,
            **shared,
            discovery=self.discovery,
            find_runs=lambda: None,
            find_registered=lambda: None,
            find_in_scopes=lambda: None,
            uid=os.getuid(),
        )

    def later(self, delay, call, *arguments):
        self.timers.append((delay, call, arguments))

    def fire(self):
        """What is due is done, with all the timers that are set now."""
        due, self.timers = self.timers, []
        for _, call, arguments in due:
            call(*arguments)

    def saving(self):
        """Delays after which the ledger will be saved."""
        return [delay for delay, call, _ in self.timers if call == self.snapshots.save]

    def judging(self):
        """Delays after which a death will be acted on."""
        return [delay for delay, call, _ in self.timers if call == self.snapshots._act_on]


@pytest.fixture
def agent(where, room):
    first = Agent(where)
    first.snapshots.take_over()
    first.fire()
    yield first
    first.close()


@pytest.fixture
def next_agent(where, room):
    """The agent that comes after; the one before has saved its ledger."""
    made = []

    def start(before=None, **options):
        if before is not None:
            before.snapshots.save()
        made.append(Agent(where, **options))
        made[-1].snapshots.take_over()
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def family(agent):
    """A session, its child and its grandchild, in the first agent's book."""
    root = agent.start()
    session = agent.open(root.pid, directory="/home/you")
    child, grandchild = root.bear_through(between="time.sleep(60)")
    agent.forked(root.pid, child)
    agent.forked(child, grandchild)
    return root, session, child, grandchild


def restored(agent):
    (event,) = agent.told(LedgerRestored)
    return event


# -- saving ------------------------------------------------------------------------------


def test_a_change_is_saved_a_little_later_and_only_once(agent, where, room):
    assert agent.saving() == []
    root = room.start()
    agent.open(root.pid)
    agent.forked(root.pid, root.do("bear()"))
    assert agent.saving() == [2.0]
    agent.fire()
    (saved,) = ledgerfile.read(where.ledger, processes.boot_id())
    assert len(saved.members) == 2
    assert agent.saving() == []
    agent.forked(root.pid, root.do("bear()"))
    assert agent.saving() == [2.0]


def test_what_a_person_says_of_whom_to_keep_is_saved_at_once(agent, where, family):
    """Killed a moment later, with the one that was named gone, no agent could tell whom it had borne."""
    root, _, child, grandchild = family
    agent.fire()
    agent.ledger.keep(agent.ledger.member(child))
    agent.bus.publish(KeepSaid(processes.identify(child), "sleep", "", kept=True))
    (saved,) = ledgerfile.read(where.ledger, processes.boot_id())
    assert {member.id.pid for member in saved.members if member.kept} == {child, grandchild}
    assert root.pid in {member.id.pid for member in saved.members}


def test_who_has_not_taken_over_leaves_what_the_agent_before_wrote_as_it_is(room, where, family):
    """In safe mode, and where a command looks for itself: what little is known there would replace all of it."""
    _, _, child, _ = family
    before = where.ledger.read_bytes()
    safe = Agent(where)
    safe.bus.publish(KeepSaid(processes.identify(child), "sleep", "", kept=True))
    assert where.ledger.read_bytes() == before


def test_what_came_and_went_meanwhile_costs_no_write(agent, where, room, family):
    root, *_ = family
    agent.fire()
    before = where.ledger.stat()
    brief = agent.forked(root.pid, root.do("bear('pass')"))
    root.do(f"os.waitpid({brief}, 0)[0]")
    agent.bus.publish(ProcessExited(brief, killed()))
    agent.fire()
    assert where.ledger.stat().st_ino == before.st_ino


def test_a_dear_snapshot_is_followed_by_a_long_rest(agent, room):
    agent.snapshots._cost = 0.5
    agent.open(room.start().pid)
    assert agent.saving() == [50.0]


def test_that_nothing_can_be_saved_is_said_once(agent, room, where, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    agent.open(room.start().pid)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "replace_file", full)
        agent.fire()
        agent.snapshots.save()
    (said,) = agent.told(SourceDegraded)
    assert said.source == "ledger"
    assert "No space left on device" in said.why
    assert not where.ledger.exists()
    agent.snapshots.save()
    assert where.ledger.exists()


# -- taking over -------------------------------------------------------------------------


def test_a_living_session_goes_on_with_all_that_it_owns(agent, next_agent, family):
    root, session, child, grandchild = family
    after = next_agent(agent)
    assert [after.owner(pid) for pid in (root.pid, child, grandchild)] == [session.key] * 3
    assert after.ledger.member(grandchild).witness is Witness.FORK
    assert after.ledger.record(session.key).session == session
    assert after.exits.now == {session.root}
    assert len(after.handles) == 3
    assert (restored(after).sessions, restored(after).processes, restored(after).ended) == (1, 3, 0)
    assert [(event.session, event.how) for event in after.told(SessionOpened)] == [(session, "taken over")]
    assert after.saving() == [2.0]


def test_where_births_are_sampled_each_end_is_waited_for(agent, next_agent, family):
    root, _, child, grandchild = family
    assert {who.pid for who in next_agent(agent, sampled=True).exits.now} == {root.pid, child, grandchild}


def test_its_death_is_answered_as_ever(agent, next_agent, family):
    root, session, child, grandchild = family
    after = next_agent(agent)
    root.end()
    after.bus.publish(ProcessExited(root.pid, killed()))
    assert [event.session for event in after.told(SessionDied)] == [session]
    assert {verdict.id.pid for verdict in after.examiner.left_by(after.ledger.record(session.key))} == {
        child,
        grandchild,
    }


def test_the_number_of_one_that_ended_is_not_believed(agent, next_agent, family, where):
    *_, child, grandchild = family
    agent.snapshots.save()
    (saved,) = ledgerfile.read(where.ledger, processes.boot_id())
    for member in saved.members:
        if member.id.pid == child:
            member.id = ProcessId(child, member.id.start - 1)
    ledgerfile.write(where.ledger, ledgerfile.encode((saved,), processes.boot_id()))
    after = next_agent()
    assert child not in after.ledger
    assert len(after.handles) == 2
    assert after.ledger.member(grandchild).left.clean is None
    assert restored(after).ended == 1


def test_another_users_process_is_not_believed(agent, next_agent, family, where):
    root, *_ = family
    if os.getuid() != 0:
        pytest.skip("missing: root")
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=12345)
    becomes(stranger.pid, "sleep")
    who = processes.identify(stranger.pid)
    agent.ledger.enter(who, root.pid, 0.0)
    after = next_agent(agent)
    assert stranger.pid not in after.ledger
    assert after.handles.fd(who) is None
    stranger.kill()
    stranger.wait()


def test_what_was_born_unseen_is_found_under_its_parent_and_is_nobodys_when_that_is_gone(agent, next_agent, family):
    root, session, child, _ = family
    agent.snapshots.save()
    unseen = root.do(f"bear({SLEEP!r})")
    between, lost = root.bear_through(SLEEP)
    root.do(f"os.waitpid({between}, 0)[0]")
    becomes(unseen, "sleep")
    after = next_agent()
    after.sweep.look()
    assert after.owner(unseen) == session.key
    assert after.ledger.member(unseen).witness is Witness.LOOK
    assert lost not in after.ledger
    assert after.ledger.member(child).witness is Witness.FORK


def test_what_its_parent_left_behind_while_nobody_looked_is_still_proven(agent, next_agent, family):
    root, session, child, grandchild = family
    agent.snapshots.save()
    os.kill(child, signal.SIGKILL)
    assert root.do(f"os.waitpid({child}, 0)[0]") == child
    until(lambda: processes.above(grandchild).parent != child)
    after = next_agent()
    after.sweep.look()
    assert after.owner(grandchild) == session.key
    assert after.ledger.member(grandchild).left.clean is None


def test_a_death_that_nobody_saw_is_acted_on_after_a_second_look(agent, next_agent, family):
    root, session, child, grandchild = family
    agent.snapshots.save()
    root.end()
    after = next_agent()
    record = after.ledger.record(session.key)
    assert record.death is not None
    assert record.death.status is None
    assert after.told(SessionDied) == []
    assert after.judging() == [4.0]  # the grace
    after.fire()
    assert [(event.session, event.death) for event in after.told(SessionDied)] == [(session, record.death)]
    assert record.members.keys() == {child, grandchild}


def test_without_a_grace_the_second_look_comes_later_all_the_same(agent, next_agent, family):
    root, *_ = family
    agent.snapshots.save()
    root.end()
    assert next_agent(grace=0.0).judging()[0] >= 1.0


def test_nothing_follows_from_a_death_that_cannot_be_confirmed(agent, next_agent, family, monkeypatch):
    root, *_ = family
    agent.snapshots.save()
    root.end()
    after = next_agent()
    monkeypatch.setattr(after.handles, "ended", lambda who: Unknown("whether it ended", "a test says so"))
    after.fire()
    assert after.told(SessionDied) == []


def test_a_root_of_which_nobody_can_tell_is_not_dead(agent, next_agent, family, monkeypatch):
    agent.snapshots.save()
    monkeypatch.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
    after = next_agent()
    assert len(after.ledger) == 0
    assert after.judging() == []


def test_a_root_of_which_nobody_can_tell_whose_it_is_is_not_dead(agent, next_agent, family, monkeypatch):
    with monkeypatch.context() as blind:
        blind.setattr(processes, "owner", lambda _: None)
        after = next_agent(agent)
    assert list(after.ledger.sessions()) == []
    assert after.judging() == []
    assert len(after.handles) == 0


def test_a_root_that_went_into_the_background_meanwhile_goes_on(agent, next_agent, tmp_path):
    root = agent.start(make_program(tmp_path, "claude"))
    root.do("1")
    session = agent.open(root.pid)
    heir = agent.forked(root.pid, root.do("letting_go()"))
    agent.snapshots.save()
    root.tell("os._exit(0)")
    root.wait()
    after = next_agent()
    (record,) = after.ledger.sessions()
    assert (record.session.root.pid, record.death) == (heir, None)
    assert record.session.root in after.exits.now
    assert [(event.session, event.how) for event in after.told(SessionOpened)] == [(record.session, "taken over")]
    assert after.judging() == []
    assert record.session.key != session.key


def test_a_clean_up_that_was_broken_off_is_taken_up_after_a_second_look(agent, next_agent, family):
    root, *_ = family
    root.end()
    agent.bus.publish(ProcessExited(root.pid, killed()))
    death = agent.told(SessionDied)[0].death
    after = next_agent(agent)
    assert after.judging() == [4.0]
    after.fire()
    assert [event.death for event in after.told(SessionDied)] == [death]


def test_what_was_spared_stays_spared(agent, next_agent, family):
    root, session, child, grandchild = family
    root.end()
    agent.bus.publish(ProcessExited(root.pid, killed()))
    agent.ledger.settle(agent.ledger.record(session.key))
    after = next_agent(agent)
    assert after.judging() == []
    assert after.told(SessionDied) == after.told(SessionEmptied) == after.told(SessionOpened) == []
    assert after.owner(grandchild) == session.key
    for pid in (grandchild, child):
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: dead(pid))
        after.bus.publish(ProcessExited(pid, killed()))
    assert [event.key for event in after.told(SessionEmptied)] == [session.key]


def test_a_dead_session_of_which_the_last_has_ended_meanwhile_is_told_empty(agent, next_agent, family):
    root, session, child, grandchild = family
    root.end()
    agent.bus.publish(ProcessExited(root.pid, killed()))
    agent.ledger.settle(agent.ledger.record(session.key))
    agent.snapshots.save()
    for pid in (grandchild, child):
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: dead(pid))
    assert [event.key for event in next_agent().told(SessionEmptied)] == [session.key]


def test_a_socket_that_it_bound_just_before_is_its_own(agent, next_agent, tmp_path):
    server = agent.start()
    session = agent.open(server.pid, Kind.TMUX, "default")
    agent.snapshots.save()
    path = tmp_path / "s"
    server.do(f"[s := __import__('socket').socket(1), globals().update(s=s), s.bind({str(path)!r}), s.listen()][3]")
    record = next_agent().ledger.record(session.key)
    assert [(mark.path, mark.inode) for mark in record.session.belongings.sockets] == [(str(path), path.stat().st_ino)]


def test_a_damaged_snapshot_is_set_aside_and_said(next_agent, where):
    where.ledger.write_text("{")
    where.ledger.chmod(0o600)
    after = next_agent()
    assert restored(after).trouble == "it is damaged"
    assert len(after.ledger) == 0
    assert where.ledger.with_suffix(".damaged").exists()
    after.fire()
    assert ledgerfile.read(where.ledger, processes.boot_id()) == ()


def test_without_a_snapshot_nothing_is_said(agent):
    assert agent.events == []


def test_a_snapshot_of_another_boot_is_not_acted_on(agent, next_agent, family, where):
    ledgerfile.write(where.ledger, ledgerfile.encode(snapshot.take(agent.ledger), "another boot"))
    after = next_agent()
    assert len(after.ledger) == 0
    assert after.events == []
