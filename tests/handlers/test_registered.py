"""Sessions of the registry: who is believed, and what becomes of them."""

from __future__ import annotations

import sqlite3
import sys
import time
from dataclasses import replace

import pytest

from sentinel.config import Registry as Wishes
from sentinel.core.events import (
    RegistryRebuilt,
    SessionDied,
    SessionMoved,
    SessionOpened,
    SessionReleased,
    SourceDegraded,
)
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.ledger import Witness
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Condemned, Spared
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.handlers.registered import RegisteredSessions, open_for_agent
from sentinel.observe import processes
from sentinel.registry.entries import Place, Proof, Status
from sentinel.registry.registry import Registry
from sentinel.registry.store import Store
from tests.handlers.room import becomes, becoming, ended, killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


class Later:
    """What is to be done later, done when the test says so."""

    def __init__(self):
        self.due = []

    def __call__(self, delay, function, *arguments):
        self.due.append((delay, function, arguments))

    def comes(self):
        due, self.due = self.due, []
        for _, function, arguments in due:
            function(*arguments)


@pytest.fixture
def later():
    return Later()


@pytest.fixture
def registered(room, later):
    discovery = room.discover()
    return RegisteredSessions(
        room.bus,
        ledger=room.ledger,
        handles=room.handles,
        exits=room.exits,
        bookkeeper=room.bookkeeper,
        discovery=discovery,
        openings=room.openings,
        registry=open_for_agent(room.where, room.bus, mends=True),
        policy=lambda: room.policy,
        catch_up=lambda: None,
        later=later,
    )


@pytest.fixture
def registry(room):
    """What programs have open; what they tell the agent, each test tells itself."""
    with Registry(room.where, record=lambda _: None, tell=lambda _: None) as registry:
        yield registry


def dies(room, puppet, death=None):
    """It ends, and the bookkeeper is told."""
    puppet.end()
    room.bookkeeper.write_off(room.ledger.member(puppet.pid), death or killed())


def named_from_afar(room, root):
    """One that has lost its parent, with a session of its own: nobody could tell whose it is."""
    return lost_by(root)[1]


def lost_by(root):
    """Pids of one that has ended, and of what it bore: in a session of its own by now."""
    middle, far = root.bear_through(
        "os.setsid(); null = os.open(os.devnull, 2); [os.dup2(null, f) for f in range(3)]; time.sleep(60)"
    )
    until(lambda: processes.above(far).parent == 1, "its parent's end")
    return middle, far


def verdict(room, pid):
    return room.examiner.verdict(processes.identify(pid))


# -- what it is called ---------------------------------------------------------------


@pytest.mark.parametrize("is_over", [False, True])
def test_mercy_a_session_is_protected_by_its_id_also_when_it_has_another_name(room, registered, registry, is_over):
    room.policy = replace(room.policy, protected=("nightly-*",))
    root = room.start()
    registry.register("nightly-1", pid=root.pid, name="Import")
    registered.enlisted("nightly-1")
    child = room.forked(root.pid, root.do("bear()"))
    if is_over:
        registry.end("nightly-1")
        registered.enlisted("nightly-1")
    dies(room, root)
    assert isinstance(verdict(room, child), Condemned if is_over else Spared)


def test_an_agent_that_registers_goes_by_its_id_too(room, registered, registry, program):
    agent = room.start(program("claude"))
    agent.do("1")
    registry.register("nightly-1", pid=agent.pid)
    registry.register("nightly-2", pid=agent.pid)
    for session in ("nightly-1", "nightly-2"):
        registered.enlisted(session)
    session = room.ledger.rooted_at(agent.pid)
    assert (session.name, session.registered) == ("claude", ("nightly-1", "nightly-2"))


def test_mercy_what_a_dead_session_left_is_protected_by_its_id_when_nobody_watched(room, registered, registry, later):
    room.policy = replace(room.policy, protected=("nightly-*",))
    root = room.start()
    registry.register("nightly-1", pid=root.pid, name="Import")
    child = root.do("bear()")
    registry.add_child("nightly-1", child)
    root.end()
    registered.find()
    later.comes()
    assert isinstance(verdict(room, child), Spared)


# -- who is watched ----------------------------------------------------------------


def test_a_session_is_watched_when_it_says_so(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid, project="/srv", name="the api")
    child = root.do("bear()")
    answer = registered.enlisted("api")
    session = room.ledger.rooted_at(root.pid)
    assert answer == {"session": session.key}
    assert (session.kind, session.name, session.directory, session.root) == (
        Kind.REGISTERED, "the api", "/srv", root.who,
    )  # fmt: skip
    assert [event.how for event in room.told(SessionOpened)] == ["registered"]
    assert room.owner(child) == session.key
    assert registered.enlisted("api") == answer
    assert len(room.told(SessionOpened)) == 1


def test_the_sessions_of_an_absent_agents_time_are_found(room, registered, registry):
    one, two = room.start(), room.start()
    registry.register("one", pid=one.pid)
    registry.register("two", pid=two.pid)
    registry.end("two")
    registered.find()
    assert room.ledger.rooted_at(one.pid) is not None
    assert room.ledger.rooted_at(two.pid) is None


def test_what_is_watched_already_stays_what_it_is(room, registered, registry):
    root = room.start()
    session = room.open(root.pid, Kind.AGENT, "claude")
    registry.register("conversation", pid=root.pid)
    assert registered.enlisted("conversation") == {"session": session.key}
    assert room.told(SessionOpened) == []


def test_a_coding_agent_that_registers_is_one(room, registered, registry, program):
    root = room.start(program("claude"))
    root.do("0")
    registry.register("conversation", pid=root.pid)
    registered.enlisted("conversation")
    assert room.ledger.rooted_at(root.pid).kind is Kind.AGENT


@pytest.mark.parametrize("wrong", [{"host": "another"}, {"namespace": 7}])
def test_mercy_a_session_of_another_place_is_not_watched_nor_closed(room, registered, registry, later, wrong):
    root = room.start()
    here = registry.here
    place = Place(**{"host": here.host, "boot": here.boot, "namespace": here.namespace, **wrong})
    with Store(room.where.registry) as store:
        store.register("far", root.who, place, kind="k")
        store.register("gone", ProcessId(root.pid, 5), place, kind="k")
    registered.find()
    assert registered.enlisted("far") == {"session": ""}
    later.comes()
    assert len(room.ledger) == 0
    assert [entry.id for entry in registry.sessions()] == ["far", "gone"]


def test_the_same_number_of_another_start_is_nobody(room, registered, registry, later):
    root = room.start()
    with Store(room.where.registry) as store:
        store.register("s1", ProcessId(root.pid, root.who.start + 1), registry.here, kind="k")
    with pytest.raises(SentinelError, match="has ended"):
        registered.enlisted("s1")
    registered.find()
    later.comes()
    assert len(room.ledger) == 0
    assert len(room.handles) == 0
    assert [entry.why for entry in registry.generations("s1")] == ["its process has ended"]


# -- whom it calls its own -----------------------------------------------------------


def test_what_it_named_is_ended_with_it_also_when_it_has_left(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    far = named_from_afar(room, root)
    registry.add_child("api", far, by=root.pid)
    key = registered.enlisted("api")["session"]
    member = room.ledger.member(far)
    assert (member.owner, member.witness, member.left) == (key, Witness.CHILD, None)
    assert member.id in room.exits.now
    dies(room, root)
    assert isinstance(verdict(room, far), Condemned)


def test_mercy_what_left_and_was_not_named_is_spared(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    far = named_from_afar(room, root)
    dies(room, root)
    assert isinstance(verdict(room, far), Spared)


def test_what_it_bore_and_lost_is_its_own_again_when_it_says_so(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    between, far = root.bear_through("os.setsid(); time.sleep(60)")
    until(lambda: processes.above(far).parent == 1, "its parent's end")
    key = room.ledger.rooted_at(root.pid).key
    room.ledger.enter(ProcessId(between, 0), root.pid, time.monotonic())
    room.handles.take(far)
    room.ledger.enter(processes.identify(far), between, time.monotonic())
    room.ledger.exited(between, ended())
    assert room.ledger.member(far).left is not None
    registry.add_child("api", far, by=root.pid)
    registered.enlisted("api")
    assert room.ledger.member(far).left is None
    assert room.owner(far) == key


def test_mercy_a_child_for_which_nothing_speaks_is_not_believed(room, registered, registry):
    root, stranger = room.start(), room.start()
    registry.register("api", pid=root.pid)
    with Store(room.where.registry) as store:
        store.add_child("api", stranger.who, Proof.NONE)
    doubts = registered.enlisted("api")["doubts"]
    assert list(doubts) == [str(stranger.pid)]
    assert "nothing shows" in doubts[str(stranger.pid)]
    registered.find()
    assert stranger.pid not in room.ledger
    assert len(room.handles) == 1


def test_mercy_the_child_of_another_session_stays_there(room, registered, registry):
    root, other = room.start(), room.start()
    session = room.open(other.pid)
    middle, child = lost_by(other)
    room.forked(room.forked(other.pid, middle), child)
    registry.register("api", pid=root.pid)
    registry.add_child("api", child, by=root.pid)
    doubts = registered.enlisted("api")["doubts"]
    assert list(doubts) == [str(child)]
    assert "in the book of another session" in doubts[str(child)]
    assert room.owner(child) == session.key


def test_mercy_the_root_of_a_session_is_nobodys_child(room, registered, registry):
    root, other = room.start(), room.start()
    session = room.open(other.pid)
    registry.register("api", pid=root.pid)
    registry.add_child("api", other.pid, by=root.pid)
    doubts = registered.enlisted("api")["doubts"]
    assert list(doubts) == [str(other.pid)]
    assert "session of its own" in doubts[str(other.pid)]
    assert room.owner(other.pid) == session.key


def test_what_the_session_around_it_owns_goes_over_to_it(room, registered, registry):
    outer = room.start()
    around = room.open(outer.pid)
    root = room.forked(outer.pid, outer.do("bear()"))
    middle, child = lost_by(outer)
    room.forked(room.forked(outer.pid, middle), child)
    registry.register("api", pid=root)
    registry.add_child("api", child, by=root)
    key = registered.enlisted("api")["session"]
    assert room.ledger.record(key).session.outer == around.key
    assert room.owner(child) == key


def test_what_it_calls_its_own_no_more_is_nobodys(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    far = named_from_afar(room, root)
    registry.add_child("api", far, by=root.pid)
    registered.enlisted("api")
    registry.remove_child("api", far)
    registered.enlisted("api")
    assert far not in room.ledger
    assert {who.pid for who in room.handles} == {root.pid}
    assert {who.pid for who in room.exits.now} == {root.pid}


def test_the_next_process_of_that_number_is_not_taken_for_the_child(room, registered, registry):
    root, other = room.start(), room.start()
    registry.register("api", pid=root.pid)
    with Store(room.where.registry) as store:
        store.add_child("api", ProcessId(other.pid, other.who.start - 1), Proof.NAMED)
    registered.enlisted("api")
    assert other.pid not in room.ledger
    assert {who.pid for who in room.handles} == {root.pid}


# -- how it ends -------------------------------------------------------------------


def test_a_death_closes_what_the_registry_has_of_it(room, registered, registry, later):
    root = room.start()
    for name in ("api", "alias"):
        registry.register(name, pid=root.pid)
        registered.enlisted(name)
    dies(room, root)
    assert len(registry.sessions()) == 2  # what it left comes first
    later.comes()
    assert registry.sessions() == []
    assert {entry.why for entry in registry.sessions(ended=True)} == {"it was killed by SIGKILL"}


def test_the_next_generation_is_not_closed_with_the_one_before(room, registered, registry, later):
    root, successor = room.start(), room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    dies(room, root)
    registry.register("api", pid=successor.pid)
    registered.enlisted("api")
    later.comes()
    assert [entry.root for entry in registry.sessions()] == [successor.who]


def test_a_registry_that_somebody_has_in_hand_is_closed_later(room, registered, registry, later):
    root = room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    dies(room, root)
    holder = sqlite3.connect(room.where.registry, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    later.comes()
    holder.execute("ROLLBACK")
    holder.close()
    assert registry.sessions()
    later.comes()
    assert registry.sessions() == []


def test_one_that_said_it_is_over_is_watched_to_its_end(room, registered, registry, later):
    root = room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    child = room.forked(root.pid, root.do("bear()"))
    registry.end("api")
    assert registered.enlisted("api") == {"session": ""}
    dies(room, root)
    assert isinstance(verdict(room, child), Condemned)
    assert [event.session.root for event in room.told(SessionDied)] == [root.who]
    later.comes()
    assert room.told(SessionReleased) == []


def test_mercy_one_that_said_it_is_over_and_goes_on_is_let_go(room, registered, registry, later):
    outer = room.start()
    around = room.open(outer.pid)
    root = room.forked(outer.pid, outer.do("bear('bear(); time.sleep(60)')"))
    child = until(lambda: processes.children(root), "its child")[0]
    registry.register("api", pid=root)
    session = room.ledger.record(registered.enlisted("api")["session"]).session
    assert room.owner(child) == session.key
    registry.end("api")
    registered.enlisted("api")
    later.comes()
    assert [event.session.key for event in room.told(SessionReleased)] == [session.key]
    assert room.ledger.record(session.key) is None
    assert {room.owner(root), room.owner(child)} == {around.key}
    assert isinstance(verdict(room, child), Spared)


@pytest.fixture
def unread(room, program, monkeypatch):
    """A process, the pid of what it bore, and of an agent under that: nobody can tell that it is one."""
    outer, script = room.start(), becoming(program("codex"), "codex")
    root = outer.do(f"bear({f'bear({script!r}); time.sleep(60)'!r})")
    agent = until(lambda: processes.children(root), "its child")[0]
    becomes(agent, "codex")
    sighted = processes.program
    monkeypatch.setattr(
        processes, "program", lambda pid: Unknown("what it runs", "nobody told") if pid == agent else sighted(pid)
    )
    return outer, root, agent


def test_mercy_an_agent_inside_of_what_is_let_go_that_nobody_could_read_is_in_doubt_around_it_too(
    room, registered, registry, later, unread
):
    """Its own session is not known yet: it would be the work of the one around it, when that dies first."""
    outer, root, agent = unread
    around = room.open(outer.pid)
    room.forked(outer.pid, root)
    registry.register("api", pid=root)
    registered.enlisted("api")
    registry.end("api")
    registered.enlisted("api")
    later.comes()
    assert {room.owner(root), room.owner(agent)} == {around.key}
    dies(room, outer)
    assert isinstance(verdict(room, root), Condemned)
    assert isinstance(verdict(room, agent), Spared)


def test_mercy_the_generation_before_is_let_go_when_it_goes_on(room, registered, registry, later):
    before, after = room.start(), room.start()
    registry.register("api", pid=before.pid)
    registered.enlisted("api")
    registry.register("api", pid=after.pid)
    registered.enlisted("api")
    later.comes()
    assert [event.session.root for event in room.told(SessionReleased)] == [before.who]
    assert room.ledger.rooted_at(before.pid) is None
    assert room.ledger.rooted_at(after.pid) is not None


def test_mercy_one_that_said_it_is_over_while_there_was_no_agent_is_let_go(room, registered, registry, later):
    over, still = room.start(), room.start()
    for root, name in ((over, "over"), (still, "still")):
        room.open(root.pid, Kind.REGISTERED, name)  # as the agent before has left it
        registry.register(name, pid=root.pid)
    registry.end("over")
    registered.find()
    later.comes()
    assert [event.session.root for event in room.told(SessionReleased)] == [over.who]
    assert room.ledger.rooted_at(still.pid) is not None


def test_one_that_registers_again_is_not_let_go(room, registered, registry, later):
    root = room.start()
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    registry.end("api")
    registered.enlisted("api")
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    later.comes()
    assert room.told(SessionReleased) == []
    assert room.ledger.rooted_at(root.pid) is not None


def test_mercy_what_is_watched_for_another_reason_is_not_let_go(room, registered, registry, later):
    root = room.start()
    room.open(root.pid, Kind.AGENT, "claude")
    registry.register("api", pid=root.pid)
    registered.enlisted("api")
    registry.end("api")
    registered.enlisted("api")
    later.comes()
    assert room.told(SessionReleased) == []
    assert room.ledger.rooted_at(root.pid) is not None


def test_one_that_went_into_the_background_is_not_taken_for_dead(room, registered, registry, later):
    root, heir = room.start(), room.start()
    before = room.open(root.pid, Kind.OVERMIND, "shop")
    registry.register("shop", pid=root.pid)
    registered.enlisted("shop")
    after = room.open(heir.pid, Kind.OVERMIND, "shop")
    room.bus.publish(SessionMoved(after, before))
    later.comes()
    assert [(entry.status, entry.why) for entry in registry.generations("shop")] == [
        (Status.ENDED, f"it went on in the background as {after.id}")
    ]


# -- deaths that nobody saw --------------------------------------------------------


def died_unseen(room, registry, proof=Proof.NAMED):
    """A session of an absent agent's time that has ended, and the child that it had named."""
    root = room.start()
    child = root.do("letting_go('bear(); time.sleep(60)')")
    who = processes.identify(child)
    registry.register("api", pid=root.pid)
    with Store(room.where.registry) as store:
        store.add_child("api", who, proof)
    until(lambda: processes.children(child), "what it bears")
    root.end()
    return root, who


def test_what_a_session_named_that_died_unseen_is_judged_after_a_second_look(room, registered, registry, later):
    root, child = died_unseen(room, registry)
    (grandchild,) = processes.children(child.pid)
    registered.find()
    assert room.told(SessionDied) == []
    assert min(delay for delay, function, _ in later.due if function == registered._judge_dead) >= 1.0
    later.comes()
    (event,) = room.told(SessionDied)
    assert (event.session.root, event.death.status) == (root.who, None)
    assert isinstance(verdict(room, child.pid), Condemned)
    assert isinstance(verdict(room, grandchild), Condemned)
    assert registry.sessions() == []


def test_mercy_what_is_kept_stays_kept(room, registered, registry, later):
    _, child = died_unseen(room, registry)
    room.ledger.wanted = {child}
    registered.find()
    later.comes()
    assert verdict(room, child.pid).guard == "kept"


def test_mercy_an_unproven_child_of_one_that_died_unseen_is_nobodys(room, registered, registry, later):
    _, child = died_unseen(room, registry, Proof.NONE)
    registered.find()
    later.comes()
    assert room.told(SessionDied) == []
    assert child.pid not in room.ledger
    assert len(room.handles) == 0


def test_mercy_what_another_session_has_taken_in_meanwhile_is_its(room, registered, registry, later):
    _, child = died_unseen(room, registry)
    registered.find()
    room.open(child.pid)
    later.comes()
    assert room.told(SessionDied) == []


def test_mercy_a_death_that_was_answered_is_not_answered_again(room, registered, registry, later):
    root, child = room.start(), room.start()
    registry.register("api", pid=root.pid)
    registry.add_child("api", child.pid, by=root.pid)
    registered.enlisted("api")
    dies(room, root)
    room.ledger.close(room.told(SessionDied)[0].session.key)
    registered.find()  # the registry has not heard of it yet
    later.comes()
    later.comes()
    assert len(room.told(SessionDied)) == 1
    assert child.pid not in room.ledger


def test_a_look_while_the_word_on_a_death_is_under_way_does_not_answer_it(room, registered, registry, later):
    root, child = room.start(), room.start()
    registry.register("api", pid=root.pid)
    registry.add_child("api", child.pid, by=root.pid)
    registered.enlisted("api")
    root.end()
    registered.find()
    later.comes()
    assert room.told(SessionDied) == []


# -- bad days ----------------------------------------------------------------------


def test_a_damaged_registry_is_rebuilt_and_its_sessions_watched(room, registered):
    root = room.start()
    with Registry(room.where, tell=lambda _: None) as registry:
        registry.register("api", pid=root.pid)
    room.where.registry.write_bytes(b"no database" * 1000)
    registered.find()
    assert [event.active for event in room.told(RegistryRebuilt)] == [1]
    assert room.ledger.rooted_at(root.pid) is not None


def test_one_that_cannot_be_read_is_told_once_and_acted_on_never(room, registered):
    room.where.registry.symlink_to("/dev/null")
    for _ in range(3):
        registered.find()
    registered.tend(Wishes())
    assert [event.source for event in room.told(SourceDegraded)] == ["registry"]
    with pytest.raises(SentinelError):
        registered.enlisted("api")


def test_one_that_is_busy_is_read_later(room, registered, later, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    import fcntl

    with open(room.where.registry.with_suffix(".lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        registered.find()
        assert room.told(SourceDegraded) == []
    later.comes()
    assert room.ledger.rooted_at(root.pid) is not None


def test_what_is_over_for_long_is_forgotten_at_the_start(room, registered, registry):
    root = room.start()
    registry.register("api", pid=root.pid)
    registry.end("api")
    registered.tend(Wishes())
    assert registry.generations("api")
    registered.tend(Wishes(keep_ended=0))
    assert registry.generations("api") == []
    with pytest.raises(NoSuchThing):
        registry.get("api")
