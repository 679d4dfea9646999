"""One look at all processes of a user, for what may have been left behind.

What a living session owns was not, and is not looked at. Environments are read only of
those that lost their parent, and of what hangs under those.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

from sentinel.agents.recognise import recognise
from sentinel.core.candidates import Mark, Sighting, Surmise, lost
from sentinel.core.facts import Gone, ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind
from sentinel.errors import SentinelError
from sentinel.observe import processes
from sentinel.observe.marks import marks_of

_MANAGER = "systemd"
"""What the manager of a user calls itself, as the manager of the system does, which is its parent."""
_NAMES_A_CONVERSATION = "_ID"
"""How the variables end that tell one conversation with an agent from the others."""


class Look:
    """What one look shows.

    Args:
        uid: Whose processes.
        ledger: Its living sessions own what they own.
        owned: What is known besides to belong to living sessions.
    """

    def __init__(self, uid: int, ledger: Ledger, owned: Container[ProcessId] = ()) -> None:
        self.everyone = dict(_everyone(uid))
        """Every process of this user, by pid."""
        self.managers = frozenset(
            pid for pid, facts in self.everyone.items() if facts.name == _MANAGER and facts.parent == 1
        )
        self.orphaned_agents = {
            pid: facts
            for pid, facts in self.everyone.items()
            if (session := ledger.rooted_at(pid)) and session.kind is Kind.AGENT and self.is_lost(facts)
        }
        """Agents that nobody is above any more, each as it was seen."""
        self._ledger = ledger
        self._owned = owned
        chain = processes.chain(os.getpid())
        self._above_us = frozenset(link.id for link in chain) if isinstance(chain, tuple) else frozenset()
        self._below: dict[int, list[int]] = {}
        for pid, facts in self.everyone.items():
            self._below.setdefault(facts.parent, []).append(pid)

    def sightings(self) -> dict[int, Sighting]:
        """Those that lost their parent, with what hangs under them, by pid."""
        found: dict[int, Sighting] = {}
        todo = [pid for pid, facts in self.everyone.items() if self.is_lost(facts)]
        while todo:
            pid = todo.pop()
            if pid not in found and not self._is_at_work(self.everyone[pid]):
                found[pid] = self._sight(self.everyone[pid])
                todo += self._below.get(pid, ())
        return found

    def below(self, pid: int) -> list[ProcessFacts]:
        """A process with all that hangs under it."""
        found: dict[int, ProcessFacts] = {}
        todo = [pid]
        while todo:
            if (one := todo.pop()) in self.everyone and one not in found:
                found[one] = self.everyone[one]
                todo += self._below.get(one, ())
        return list(found.values())

    def surmise(self, sightings: dict[int, Sighting], owners: dict[int, ProcessId]) -> Surmise:
        """What can be said of those whom the sightings name."""
        marks = {mark for seen in sightings.values() if isinstance(seen.marks, tuple) for mark in seen.marks}
        named = {mark.pid for mark in marks} | {seen.facts.session for seen in sightings.values()}
        holders = {pid: processes.above(pid) for pid in named if pid > 0}
        in_use = frozenset(self._conversations()) if any(map(_names_a_conversation, marks)) else frozenset()
        return Surmise(holders, self.managers, owners, in_use)

    def is_lost(self, facts: ProcessFacts) -> bool:
        """Whether the parent that bore it is known to have ended."""
        return bool(lost(Sighting(facts, parent_session=self._parent_session(facts)), self.managers))

    def _parent_session(self, facts: ProcessFacts) -> int | None:
        if facts.session == facts.id.pid or facts.parent <= 1:
            return None
        parent: ProcessFacts | Gone | Unknown | None = self.everyone.get(facts.parent)
        if parent is None:
            parent = processes.look(facts.parent)
        if not isinstance(parent, ProcessFacts) or parent.session == parent.id.pid:
            return None
        return parent.session

    def _is_at_work(self, facts: ProcessFacts) -> bool:
        """Whether a living session owns it. An agent that nobody is above is no such session.

        tmux servers are none of ours here, nor is what runs in them (see ``ruins``), nor are we.
        """
        if facts.id in self._owned or facts.name == TMUX_SERVER or facts.id in self._above_us:
            return True
        if (member := self._ledger.entry(facts.id)) is None:
            return False
        record = self._ledger.record(member.owner)
        return record is None or (record.death is None and record.session.root.pid not in self.orphaned_agents)

    def _sight(self, facts: ProcessFacts) -> Sighting:
        pid = facts.id.pid
        return Sighting(
            facts,
            marks_of(pid),
            self._parent_session(facts),
            processes.stdio(pid),
            _agent(facts) if facts.parent == 1 or facts.parent in self.managers else "",
        )

    def _conversations(self) -> Iterator[tuple[str, str]]:
        """Marks of conversations that go on: of all that hangs under living agents."""
        for record in self._ledger.sessions():
            if record.session.kind is not Kind.AGENT or record.session.root.pid in self.orphaned_agents:
                continue
            for pid in list(record.members) if record.death is None else ():
                marks = marks_of(pid)
                for mark in marks if isinstance(marks, tuple) else ():
                    if _names_a_conversation(mark):
                        yield mark.variable, mark.value


def _everyone(uid: int) -> Iterator[tuple[int, ProcessFacts]]:
    pids = processes.everyone()
    if isinstance(pids, Unknown):
        raise SentinelError(str(pids))
    for pid in pids:
        if processes.owner(pid) == uid:
            facts = processes.look(pid)
            if isinstance(facts, ProcessFacts) and not facts.dead:
                yield pid, facts


def _agent(facts: ProcessFacts) -> str:
    program = processes.program(facts.id.pid)
    if isinstance(program, Unknown):
        return ""
    found = recognise(*program, facts.name)
    return found.name if found is not None and found.kind is Kind.AGENT else ""


def _names_a_conversation(mark: Mark) -> bool:
    return mark.pid == 0 and mark.variable.endswith(_NAMES_A_CONVERSATION)
