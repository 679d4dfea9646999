"""Believes the hooks of coding agents as far as a look at the processes bears them out.

A hook says that a session starts, goes on or ends. Which process that session is, only the
hook's own parents tell: the first coding agent among them. What it says of itself (a pid in
its environment, the name that it was installed with) is compared and, when it differs,
noted; it decides nothing. Nothing is ended because of a hook: ``SessionEnd`` comes while the
agent still lives, and also when it only turns to another conversation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from sentinel.agents.recognise import Recognised
from sentinel.bus import Bus
from sentinel.core.events import REGISTERED, HookFired, HookLeft
from sentinel.core.facts import Above, ProcessId, Unknown
from sentinel.core.hooks import HookCall
from sentinel.core.ledger import Ledger
from sentinel.core.sanitise import clean
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.recognition import recognise_process
from sentinel.observe import processes

_REMEMBERED = 512
"""Calls. One that was answered late is in the spool too, a moment after."""
_TELL_OF_TASKS = frozenset({"Stop", "SubagentStop"})
_NAME = 200
_NO_TERMINAL = frozenset({"", "dumb"})
_SAYS_NO = frozenset({"", "0", "false"})
MARKS = {
    "claude": ("CLAUDE_PID", "CLAUDE_CODE_SESSION_ID"),
    "codex": ("", "CODEX_THREAD_ID"),
}
"""Variables in which a coding agent names its own pid, and its conversation."""


class AgentHooks:
    """Registers the sessions that hooks tell of, and keeps what they say of them.

    Args:
        catch_up: Publishes what the kernel has told up to now.
    """

    def __init__(self, bus: Bus, ledger: Ledger, discovery: Discovery, catch_up: Callable[[], None]) -> None:
        self._bus = bus
        self._ledger = ledger
        self._discovery = discovery
        self._catch_up = catch_up
        self._heard = deque[str](maxlen=_REMEMBERED)
        bus.subscribe(HookLeft, self._left)

    def _left(self, event: HookLeft) -> None:
        self.hear(event.call)

    def hear(self, call: HookCall, sender: int = 0) -> Session | None:
        """A hook fired.

        Args:
            call: What it says.
            sender: Its pid, from the kernel; 0 when it was left in the spool.

        Returns:
            The session that it was about, as it is known now; None when no coding agent is above it.
        """
        if call.id in self._heard:
            return None
        self._heard.append(call.id)
        self._catch_up()
        session = self._session(call, sender)
        notes = [call.trouble] if call.trouble else []
        if session is None:
            notes.append("no coding agent is above it")
        else:
            notes += _contradictions(call, session)
            session = self._learn(session, call)
        self._bus.publish(
            HookFired(session, call.agent, call.event, call.detail, call.conversation, call.tasks, "; ".join(notes))
        )
        return session

    def _session(self, call: HookCall, sender: int) -> Session | None:
        """The session of the first coding agent among the parents; it is opened when nobody knew it."""
        for who in _parents(call, sender):
            found = recognise_process(who.pid, processes.comm(who.pid))
            if not isinstance(found, Recognised) or found.kind is not Kind.AGENT:
                continue
            self._discovery.consider(who.pid, REGISTERED)
            session = self._ledger.rooted_at(who.pid)
            if session is not None and session.root == who and session.kind is Kind.AGENT:
                return session
            # It is part of a session of the same program: its launcher is above it.
        return None

    def _learn(self, session: Session, call: HookCall) -> Session:
        tasks = tuple(clean(task) for task in call.tasks) if call.event in _TELL_OF_TASKS else session.tasks
        known = replace(
            session,
            conversation=clean(call.conversation, _NAME) or session.conversation,
            tasks=tasks,
            unattended=session.unattended or _nobody_sits_at(session.root.pid),
        )
        if known != session:
            self._ledger.amend(known)
        return known


def _parents(call: HookCall, sender: int) -> Iterator[ProcessId]:
    """The processes above a hook, nearest first: as the kernel has them, or as the hook had them while it lived."""
    chain = processes.chain(sender) if sender else Unknown("who it is", "it was left in the spool")
    if isinstance(chain, tuple):
        yield from (link.id for link in chain[1:] if not link.dead)
        return
    if call.boot == processes.boot_id():
        for who in call.chain:
            link = processes.above(who.pid)
            if isinstance(link, Above) and link.id == who and not link.dead:
                yield who


def _contradictions(call: HookCall, session: Session) -> list[str]:
    """What the hook says of itself and is not so. Whoever is above it counts all the same."""
    notes = []
    if call.agent != session.name:
        notes.append(f"it was installed for {call.agent or 'nobody'}, and {session.name} ran it")
    marks = dict(call.marks)
    pid_mark, conversation_mark = MARKS.get(session.name, ("", ""))
    if (pid := marks.get(pid_mark, "")) and pid != str(session.root.pid):
        notes.append(f"{pid_mark} says {pid}, and process {session.root.pid} is above it")
    name = marks.get(conversation_mark, "")
    if name and call.conversation and name != call.conversation:
        notes.append(f"{conversation_mark} says {name}, and its payload {call.conversation}")
    return notes


def _nobody_sits_at(pid: int) -> bool:
    """Whether a coding agent runs in a pipeline: ``CI`` is set, or its terminal is none that anybody looks at."""
    found = processes.variables(pid, ("CI", "TERM"))
    if isinstance(found, Unknown):
        return False
    return found.get("CI", "").lower() not in _SAYS_NO or found.get("TERM", "") in _NO_TERMINAL
