"""The ledger against a model that knows who truly bore whom."""

from __future__ import annotations

import json

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sentinel import ledgerfile
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind, Session
from sentinel.core.snapshot import Saved, contradiction, restore, take

KILLED, ENDED = 9, 0


class Forest(RuleBasedStateMachine):
    """Births, sessions and ends at random; the model knows who truly bore whom."""

    def __init__(self):
        super().__init__()
        self.ledger = Ledger()
        self.start = 1000
        self.owner: dict[int, str] = {}
        self.names: dict[int, ProcessId] = {}
        self.parent: dict[int, int] = {}
        self.roots: dict[str, int] = {}
        self.dead: set[str] = set()

    def fresh(self, pid):
        self.start += 1
        return ProcessId(pid, self.start)

    def living(self):
        return sorted(self.owner)

    @rule(pid=st.integers(2, 30))
    def a_session_begins(self, pid):
        if pid in self.owner or self.ledger.rooted_at(pid) is not None:
            return
        name = self.fresh(pid)
        session = Session(Kind.RUN, "s", name)
        self.ledger.open(session, 0.0)
        self.owner[pid], self.names[pid], self.roots[session.key] = session.key, name, pid

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), pid=st.integers(2, 30))
    def a_child_is_born(self, data, pid):
        parent = data.draw(st.sampled_from(self.living()))
        if pid in self.owner or self.ledger.rooted_at(pid) is not None:
            return
        name = self.fresh(pid)
        self.ledger.enter(name, parent, 0.0)
        self.owner[pid], self.names[pid], self.parent[pid] = self.owner[parent], name, parent

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def an_end_is_lost_and_the_number_comes_again(self, data):
        pid = data.draw(st.sampled_from(self.living()))
        parent = data.draw(st.sampled_from(self.living()))
        if pid in self.roots.values() or parent == pid:
            return
        name = self.fresh(pid)
        self.ledger.enter(name, parent, 0.0)
        self.disinherit(pid)
        before = self.owner[pid]
        self.owner[pid], self.names[pid], self.parent[pid] = self.owner[parent], name, parent
        self.close_if_empty(before)

    def disinherit(self, pid):
        for child in [c for c, p in self.parent.items() if p == pid]:
            del self.parent[child]

    def close_if_empty(self, key):
        if key in self.dead and key not in self.owner.values():
            self.ledger.close(key)
            del self.roots[key]
            self.dead.discard(key)

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def a_member_becomes_a_root(self, data):
        pid = data.draw(st.sampled_from(self.living()))
        if pid in self.roots.values():
            return
        session = Session(Kind.AGENT, "a", self.names[pid])
        before = self.owner[pid]
        self.ledger.open(session, 0.0)
        self.roots[session.key] = pid
        for other in self.living():
            if self.owner[other] == before and self.is_below(other, pid):
                self.owner[other] = session.key

    def is_below(self, pid, top):
        while pid != top:
            if pid in self.roots.values() or pid not in self.parent or self.parent[pid] not in self.owner:
                return False
            pid = self.parent[pid]
        return True

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), status=st.sampled_from([None, KILLED, ENDED]))
    def one_ends(self, data, status):
        pid = data.draw(st.sampled_from(self.living()))
        key = self.owner.pop(pid)
        told = self.ledger.exited(pid, Death(1.0, status))
        was_root = self.roots.get(key) == pid
        assert (told is not None) is was_root
        self.disinherit(pid)
        self.parent.pop(pid, None)
        if was_root:
            self.dead.add(key)
        self.close_if_empty(key)

    @rule()
    def the_agent_restarts(self):
        """Its ledger goes through the file; nobody ends meanwhile."""
        saved = take(self.ledger)
        assert contradiction(saved) == ""
        content = json.loads(ledgerfile.encode(saved, "boot"))["sessions"]
        self.ledger = Ledger()
        restore(self.ledger, msgspec.convert(content, tuple[Saved, ...]), lambda _: True, 2.0)

    @invariant()
    def the_ledger_says_what_is_true(self):
        assert {pid: self.ledger.member(pid).owner for pid in self.owner} == self.owner
        assert len(self.ledger) == len(self.owner)
        assert {record.session.key for record in self.ledger.sessions()} == set(self.roots)

    @invariant()
    def its_indexes_agree(self):
        for record in self.ledger.sessions():
            for pid, member in record.members.items():
                assert self.ledger.member(pid) is member
                assert member.id == self.names[pid]
                assert member.owner == record.session.key
                assert member.children == {child for child, parent in self.parent.items() if parent == pid}
            assert self.ledger.rooted_at(record.session.root.pid) is not None
            assert (record.death is not None) is (record.session.key in self.dead)


Forest.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestForest = Forest.TestCase
