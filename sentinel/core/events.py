"""What happened, in the past tense.

An event is a hint to look again, never an order. Those that a person would want to read
later have a ``type`` and go to the journal; the kernel's chatter has none and does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sentinel.core.actions import Outcome
from sentinel.core.buttons import Button
from sentinel.core.facts import Death, ProcessId
from sentinel.core.hooks import HookCall
from sentinel.core.rules.locks import LockKind
from sentinel.core.sessions import Session
from sentinel.core.verdicts import ProcessVerdict


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``type`` names it in the journal; empty means: not recorded."""

    type: ClassVar[str] = ""


# -- told by the kernel: many a second, never recorded ------------------------------


@dataclass(frozen=True, slots=True)
class ProcessForked(Event):
    """A process of a watched session bore a child, or a child got the number of one."""

    parent: int
    child: int
    at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class ProcessExecuted(Event):
    """A process replaced its program: it may be a session now."""

    pid: int


@dataclass(frozen=True, slots=True)
class ProcessRenamed(Event):
    """A process calls itself something of interest now: a tmux server says so like this."""

    pid: int


@dataclass(frozen=True, slots=True)
class ProcessExited(Event):
    """A process of a watched session seems to have ended."""

    pid: int
    death: Death


@dataclass(frozen=True, slots=True)
class SessionEmptied(Event):
    """The last process of a dead session has ended."""

    key: str


@dataclass(frozen=True, slots=True)
class SocketsFound(Event):
    """More is known of the sockets of a session than before: they are bound a little after its birth."""

    key: str


@dataclass(frozen=True, slots=True)
class FileChanged(Event):
    """Something appeared, vanished or moved in a watched directory."""

    path: str


@dataclass(frozen=True, slots=True)
class TmuxHinted(Event):
    """A tmux hook wrote a line into the hints file."""

    hook: str
    server: int
    """Pid, as the server says."""


@dataclass(frozen=True, slots=True)
class HookLeft(Event):
    """A coding agent's hook fired while nobody listened, and left its word in the spool."""

    call: HookCall


@dataclass(frozen=True, slots=True)
class HolderEnded(Event):
    """A process that held a lock has ended."""

    holder: ProcessId


@dataclass(frozen=True, slots=True)
class LookDue(Event):
    """Time to look again at everything."""

    why: str


# -- what the journal keeps ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """The agent watches from now on."""

    type: ClassVar[str] = "agent.started"

    version: str
    source: str
    """Which of the process sources serves: ``proc connector``, ``kqueue`` or ``polling``."""
    why: str = ""
    """Why not a better one."""
    instead_of: int = 0
    """The pid of the agent before, when that did not end in good order."""


@dataclass(frozen=True, slots=True)
class StartedSafely(Event):
    """The agent has crashed again and again: now it only observes."""

    type: ClassVar[str] = "agent.safe"

    why: str


@dataclass(frozen=True, slots=True)
class AgentStopped(Event):
    """The agent ends in good order."""

    type: ClassVar[str] = "agent.stopped"

    why: str


@dataclass(frozen=True, slots=True)
class LedgerRestored(Event):
    """What the agent before knew was taken over, or could not be."""

    type: ClassVar[str] = "ledger.restored"

    sessions: int
    processes: int
    ended: int
    """Processes that it knew and that have ended meanwhile."""
    trouble: str = ""
    """Why nothing was."""


BORN = "born"
FOUND = "found"
"""It was there when we looked."""
REGISTERED = "registered"
TAKEN_OVER = "taken over"
"""The agent before watched it."""


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """A session is watched from now on."""

    type: ClassVar[str] = "session.opened"

    session: Session
    how: str
    """One of the words above."""


@dataclass(frozen=True, slots=True)
class SessionMoved(Event):
    """A session has put itself into the background: it goes on under another root, and so under another id."""

    type: ClassVar[str] = "session.moved"

    session: Session
    """As it is from now on."""
    before: Session


@dataclass(frozen=True, slots=True)
class HookFired(Event):
    """A coding agent told something through its own hooks. Not a proof of anything."""

    type: ClassVar[str] = "hook.fired"

    session: Session | None
    """The first coding agent above the hook."""
    agent: str
    """Whose hook it was installed as."""
    hook: str
    """The event, as the agent calls it."""
    detail: str = ""
    """The source of a start, the reason of an end."""
    conversation: str = ""
    """What the agent calls its session."""
    tasks: tuple[str, ...] = ()
    """What it said to be running in the background."""
    note: str = ""
    """What is not as the hook says."""


@dataclass(frozen=True, slots=True)
class SessionDied(Event):
    """The root of a session has ended."""

    type: ClassVar[str] = "session.died"

    session: Session
    death: Death


@dataclass(frozen=True, slots=True)
class SessionJudged(Event):
    """The processes that a dead session left were judged."""

    type: ClassVar[str] = "session.judged"

    session: Session
    death: Death
    processes: tuple[ProcessVerdict, ...]


@dataclass(frozen=True, slots=True)
class CleanedUp(Event):
    """An action has come to its end."""

    type: ClassVar[str] = "cleanup.done"

    session: Session
    outcomes: tuple[Outcome, ...]
    duration: float
    """Seconds from the decision to the end of the last target."""
    intent: int = 0
    """``seq`` of the intent in the journal."""


@dataclass(frozen=True, slots=True)
class Left:
    """A target of an intent that was not seen through, and what is true of it now."""

    target: str
    """``PID@START`` or a path."""
    name: str
    now: str
    """``alive``, ``gone`` or ``unknown``; of files ``there`` or ``gone``."""


@dataclass(frozen=True, slots=True)
class IntentAbandoned(Event):
    """An agent announced something and was gone before it could say what came of it."""

    type: ClassVar[str] = "action.abandoned"

    session: str
    """Its key."""
    intent: int
    """``seq`` of the first intent."""
    targets: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Supervised(Event):
    """What was ended is started again and again by another process: it is left alone."""

    type: ClassVar[str] = "process.supervised"

    session: Session
    process: ProcessId
    name: str
    by: int
    """Pid of its living parent."""
    by_name: str


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """A dead session has nothing left that is watched."""

    type: ClassVar[str] = "session.closed"

    session: Session


@dataclass(frozen=True, slots=True)
class ServerUnstuck(Event):
    """A tmux server that had lost a SIGCHLD was sent one."""

    type: ClassVar[str] = "tmux.unstuck"

    server: ProcessId
    evidence: tuple[str, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ServerReopened(Event):
    """A tmux server whose socket file was gone was asked to make it again."""

    type: ClassVar[str] = "tmux.reopened"

    server: ProcessId
    evidence: tuple[str, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TmuxSessionOpened(Event):
    """There is a session in a tmux server that was not there at the last look."""

    type: ClassVar[str] = "tmux.opened"

    server: Session
    number: str
    """``$3``: never reused while the server lives."""
    name: str


@dataclass(frozen=True, slots=True)
class TmuxSessionRenamed(Event):
    """A session in a tmux server has another name."""

    type: ClassVar[str] = "tmux.renamed"

    server: Session
    number: str
    name: str
    before: str


@dataclass(frozen=True, slots=True)
class TmuxSessionClosed(Event):
    """A session in a tmux server is gone. What its panes left is judged by their own deaths."""

    type: ClassVar[str] = "tmux.closed"

    server: Session
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class SocketsSwept(Event):
    """Socket files of tmux servers that ended long ago were removed."""

    type: ClassVar[str] = "tmux.swept"

    directory: str
    removed: int
    kept: tuple[Outcome, ...]
    duration: float
    """Seconds from the decision."""
    intent: int
    """``seq`` of the intent in the journal."""


@dataclass(frozen=True, slots=True)
class LockRemoved(Event):
    """A process ended and left its lock, which was moved out of the way, or would not be."""

    type: ClassVar[str] = "lock.removed"

    path: str
    kind: LockKind
    holder: str
    outcome: Outcome
    duration: float
    """Seconds from when its holder was known to have ended."""
    intent: int
    """``seq`` of the intent in the journal."""


@dataclass(frozen=True, slots=True)
class LockKept(Event):
    """The holder of a lock seems to have ended, and yet it stays."""

    type: ClassVar[str] = "lock.kept"

    path: str
    kind: LockKind
    guard: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileReturned(Event):
    """Something that was removed was put back, since its user said so."""

    type: ClassVar[str] = "file.returned"

    path: str
    removed: float
    """Wall-clock seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class SessionRegistered(Event):
    """A session has said that it is there. Holds what the registry is rebuilt from when it is damaged."""

    type: ClassVar[str] = "registry.entry"

    session: str
    """Its id in the registry."""
    generation: int
    kind: str
    name: str
    project: str
    labels: Mapping[str, str]
    host: str
    boot: str
    namespace: int
    root: ProcessId
    at: float
    """Wall-clock seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ChildNamed(Event):
    """A registered session calls a process its own, or does so no more."""

    type: ClassVar[str] = "registry.child"

    session: str
    generation: int
    process: ProcessId
    proof: str
    """What showed that it is the session's: ``descends`` or ``named``."""
    own: bool


@dataclass(frozen=True, slots=True)
class RegistrationEnded(Event):
    """A registered session is over."""

    type: ClassVar[str] = "registry.ended"

    session: str
    generation: int
    why: str


@dataclass(frozen=True, slots=True)
class RegistryRebuilt(Event):
    """The registry was damaged. What the journal and the living processes tell of it is in a new one."""

    type: ClassVar[str] = "registry.rebuilt"

    damage: str
    aside: str
    """Where the damaged one is now."""
    active: int
    ended: int
    """Sessions, by what they are now."""
    trouble: str = ""
    """Why the journal could not be read."""


@dataclass(frozen=True, slots=True)
class SessionReleased(Event):
    """A registered session said that it is over, and its process goes on: it is watched no more."""

    type: ClassVar[str] = "session.released"

    session: Session


@dataclass(frozen=True, slots=True)
class Paused(Event):
    """A person wants nothing to be ended for now."""

    type: ClassVar[str] = "switch.paused"

    until: float | None
    """Wall-clock seconds since the epoch; None: until ``sentinel resume``."""


@dataclass(frozen=True, slots=True)
class PauseRanOut(Event):
    """A pause for a while is over."""

    type: ClassVar[str] = "switch.expired"

    at: float
    """When it was, in wall-clock seconds since the epoch: nobody need have been there."""
    why_held: str
    """Why nothing is ended all the same; empty when Sentinel acts again."""


@dataclass(frozen=True, slots=True)
class WentOn(Event):
    """A person wants Sentinel to act again."""

    type: ClassVar[str] = "switch.resumed"

    why_held: str
    """What had held it."""


@dataclass(frozen=True, slots=True)
class KeepSaid(Event):
    """A person wants a process or a session to stay, or does so no more."""

    type: ClassVar[str] = "switch.keep"

    process: ProcessId
    name: str
    session: str
    """Its key, when a whole session was meant."""
    kept: bool


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """The kill budget is spent: from now on Sentinel only reports."""

    type: ClassVar[str] = "breaker.opened"

    why: str


@dataclass(frozen=True, slots=True)
class ConfigurationRead(Event):
    """The configuration was read again."""

    type: ClassVar[str] = "config.read"

    trouble: str = ""
    """Why it was refused, and the one before it holds."""
    later: tuple[str, ...] = ()
    """What of it takes effect at the next start only."""


@dataclass(frozen=True, slots=True)
class Notified(Event):
    """The person was told, or could not be."""

    type: ClassVar[str] = "notification.sent"

    session: str
    text: str
    shown: bool
    why: str = ""
    """Why it was not shown."""
    by: str = ""
    """What showed it: ``desktop (D-Bus)``, ``tmux``."""


@dataclass(frozen=True, slots=True)
class ButtonPressed(Event):
    """Somebody pressed a button of a popup."""

    type: ClassVar[str] = "notification.pressed"

    session: str
    """Key of the one that the popup told of, when it was one."""
    button: Button


@dataclass(frozen=True, slots=True)
class EventsLost(Event):
    """The kernel dropped notices: everything has to be looked at again."""

    type: ClassVar[str] = "source.lost"

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class SourceDegraded(Event):
    """A source works less well than it could, or not at all. Said once."""

    type: ClassVar[str] = "source.degraded"

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Woke(Event):
    """The machine slept. What came and went meanwhile was told to nobody."""

    type: ClassVar[str] = "system.woke"

    slept: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class HandlerFailed(Event):
    """A handler raised. The others went on."""

    type: ClassVar[str] = "handler.failed"

    handler: str
    event: str
    error: str


@dataclass(frozen=True, slots=True)
class MessageRefused(Event):
    """A message to the inbox was not understood or not allowed."""

    type: ClassVar[str] = "inbox.refused"

    peer: int
    why: str
    unrecorded: int = 0
    """How many were refused before it without a record of their own: there were too many."""


RECORDED: tuple[type[Event], ...] = (
    AgentStarted,
    StartedSafely,
    AgentStopped,
    LedgerRestored,
    SessionOpened,
    SessionMoved,
    HookFired,
    SessionDied,
    SessionJudged,
    CleanedUp,
    IntentAbandoned,
    Supervised,
    SessionClosed,
    ServerUnstuck,
    ServerReopened,
    TmuxSessionOpened,
    TmuxSessionRenamed,
    TmuxSessionClosed,
    SocketsSwept,
    LockRemoved,
    LockKept,
    FileReturned,
    SessionRegistered,
    ChildNamed,
    RegistrationEnded,
    RegistryRebuilt,
    SessionReleased,
    Paused,
    PauseRanOut,
    WentOn,
    KeepSaid,
    BreakerOpened,
    ConfigurationRead,
    Notified,
    ButtonPressed,
    EventsLost,
    SourceDegraded,
    Woke,
    HandlerFailed,
    MessageRefused,
)
