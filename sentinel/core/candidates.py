"""What lay around before anybody watched: whose it may have been, and how good the proof is.

After the fact nothing proves descent. What is left are witnesses. One is the environment:
agents, tmux and ``sentinel run`` leave marks in it that name them. A mark is inherited by
all that is born below, also through a tmux server that outlives its agent, so it is never
enough alone. The other is who the parent is: a process that lost its own was handed over.
Where the two agree and nothing contradicts, the proof is *strong*: good enough to be offered
to a person, never to be acted on alone. All else that looks lost is *weak*, and only shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.verdicts import Grade


@dataclass(frozen=True, slots=True)
class Mark:
    """A variable that says under whom a process was born."""

    variable: str
    value: str
    owner: str
    """Who leaves such marks: ``claude``, ``tmux``."""
    pid: int = 0
    """The process that it names; 0 where it names a conversation, or nothing."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One process of ours, as a look for what was left behind saw it."""

    facts: ProcessFacts
    marks: tuple[Mark, ...] | Unknown = ()
    parent_session: int | None = None
    """The session (setsid(2)) of its parent, if that one does not lead it; else None."""
    stdio: Stdio | Unknown | None = None
    """None when nobody had to know."""
    agent: str = ""
    """The coding agent that it is, by its program; empty for none."""


@dataclass(frozen=True, slots=True)
class Surmise:
    """What is known of those whom the sightings name."""

    holders: Mapping[int, Above | Gone | Unknown] = field(default_factory=dict)
    """Who has a number now: of each pid that a mark names, and of each session's leader."""
    managers: frozenset[int] = frozenset()
    """User managers (``systemd --user``), to whom the lost of a user fall instead of to init."""
    owners: Mapping[int, ProcessId] = field(default_factory=dict)
    """Dead sessions' roots that were once watched, by pid."""
    in_use: frozenset[tuple[str, str]] = frozenset()
    """Marks, as variable and value, that somebody under a living agent has."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A process that may have been left behind."""

    facts: ProcessFacts
    grade: Grade
    evidence: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    """What contradicts. Whoever has one is weak."""

    @property
    def id(self) -> ProcessId:
        """Who it is."""
        return self.facts.id

    @property
    def is_strong(self) -> bool:
        """Whether the proof is good enough for it to be offered unasked."""
        return self.grade is not Grade.WEAK


def grade(sightings: Mapping[int, Sighting], known: Surmise) -> dict[ProcessId, Candidate]:
    """Find who was left behind, and say how good the proof is.

    Whoever lost its parent is a candidate if anything else points the same way, and so is
    all that hangs under it. A session's leader that lives is a sign of life for the whole
    session, unless it was left behind itself.

    Args:
        sightings: The processes of one user, by pid.
        known: About those whom they name.
    """
    at_first = _graded(sightings, known, frozenset())
    strong = frozenset(who.pid for who, found in at_first.items() if found.grade is Grade.STRONG)
    return _graded(sightings, known, strong, with_leaders=True)


def lost(sighting: Sighting, managers: frozenset[int]) -> str:
    """How it is known that the parent which bore it has ended; empty when it is not."""
    facts = sighting.facts
    if facts.parent == 1:
        return "its parent has ended, and init has it now"
    if facts.parent in managers:
        return f"its parent has ended, and the user's manager (pid {facts.parent}) has it now"
    if sighting.parent_session is None or facts.session in (facts.id.pid, sighting.parent_session):
        return ""
    # Who leads no session has the one it was born in, and so has whoever it bore.
    return f"its parent has ended: process {facts.parent}, which has it now, was never in its session"


def _graded(
    sightings: Mapping[int, Sighting], known: Surmise, strong: frozenset[int], *, with_leaders: bool = False
) -> dict[ProcessId, Candidate]:
    below: dict[int, list[Sighting]] = {}
    for sighting in sightings.values():
        below.setdefault(sighting.facts.parent, []).append(sighting)
    found: dict[ProcessId, Candidate] = {}
    for top in sightings.values():
        candidate = _lost_one(top, known, strong)
        if candidate is None:
            continue
        todo = [(top, candidate)]
        while todo:
            sighting, candidate = todo.pop()
            if with_leaders and (doubt := _led(sighting, known, strong)):
                candidate = _doubted(candidate, doubt)
            if candidate.id not in found:  # a torn look may show a circle
                found[candidate.id] = candidate
                todo += [(child, _under(candidate, child, known, strong)) for child in below.get(candidate.id.pid, ())]
    return found


def _lost_one(sighting: Sighting, known: Surmise, strong: frozenset[int]) -> Candidate | None:
    """A process that lost its parent, if anything else speaks for its having been left behind."""
    how = lost(sighting, known.managers)
    if not how:
        return None
    evidence = tuple(_witnesses(sighting, known))
    signs = tuple(_signs(sighting))
    doubts = tuple(_doubts(sighting, known, strong))
    if not (evidence or signs or doubts):
        return None
    if sighting.agent and not _is_hung_up(sighting):
        doubts += (f"it is the coding agent {sighting.agent}, and may be at work without a terminal",)
    holds_nothing, leads = _holds_nothing(sighting.stdio), sighting.facts.session == sighting.facts.id.pid
    if holds_nothing and leads:
        doubts += ("it leads a session of its own and holds no terminal or pipe: it may be a daemon on purpose",)
    # The last of a double fork looks like that, too.
    made_by_nobody = holds_nothing and not leads and not _is_in_a_session_of(sighting, known)
    if made_by_nobody:
        signs += ("it holds no terminal or pipe, and nobody knows who made its session (setsid)",)
    best = Grade.STRONG if evidence and not doubts and not made_by_nobody else Grade.WEAK
    return Candidate(sighting.facts, best, (*evidence, how, *signs), doubts)


def _under(above: Candidate, sighting: Sighting, known: Surmise, strong: frozenset[int]) -> Candidate:
    """What hangs under a candidate is one, and never a better one."""
    doubts = tuple(_doubts(sighting, known, strong))
    best = Grade.WEAK if doubts else above.grade
    hangs = f"it hangs under process {above.id.pid}, which may have been left behind itself"
    return Candidate(sighting.facts, best, (hangs, *_witnesses(sighting, known)), doubts)


def _doubted(candidate: Candidate, doubt: str) -> Candidate:
    return replace(candidate, grade=Grade.WEAK, doubts=(*candidate.doubts, doubt))


def _witnesses(sighting: Sighting, known: Surmise) -> Iterator[str]:
    """Marks that name somebody who is proven dead."""
    for mark in _marks(sighting):
        match known.holders.get(mark.pid):
            case Gone():
                yield f"{mark.variable} in its environment names {mark.owner} (pid {mark.pid}), which has ended"
            case Above() as holder if holder.dead or holder.id.start > sighting.facts.id.start:
                ended = "which has ended" if holder.dead else "a number that another process has had since"
                yield f"{mark.variable} in its environment names {mark.owner} (pid {mark.pid}), {ended}"


def _doubts(sighting: Sighting, known: Surmise, strong: frozenset[int]) -> Iterator[str]:
    """What contradicts, or could not be found out.

    ``strong`` are those who were left behind themselves: to be named by a mark, they may live.
    """
    born = sighting.facts.id.start
    for answer in (sighting.marks, sighting.stdio):
        if isinstance(answer, Unknown):
            yield str(answer)
    for mark in _marks(sighting):
        if (mark.variable, mark.value) in known.in_use:
            yield f"{mark.owner} lives and works with the same {mark.variable}"
        if not mark.pid or mark.pid in strong:
            continue
        holder = known.holders.get(mark.pid)
        owner = known.owners.get(mark.pid)
        if holder is None or isinstance(holder, Unknown):
            yield f"nobody could tell whether {mark.owner} (pid {mark.pid}), which {mark.variable} names, lives"
        elif isinstance(holder, Above) and not holder.dead and holder.id.start <= born:
            yield f"{mark.variable} in its environment names process {mark.pid}, which lives"
        elif owner is not None and born < owner.start:
            yield f"it is older than {mark.owner} (pid {mark.pid}), which {mark.variable} names"


def _signs(sighting: Sighting) -> Iterator[str]:
    """What suggests that it was left behind, and proves nothing."""
    for mark in _marks(sighting):
        if not mark.pid:
            yield f"{mark.variable} in its environment says that {mark.owner} was above it"
    if sighting.agent:
        yield f"it is the coding agent {sighting.agent}, and nobody is above it"
    if _is_hung_up(sighting):
        yield "the terminal that it holds has been closed"


def _led(sighting: Sighting, known: Surmise, strong: frozenset[int]) -> str:
    """Why its session (setsid) may be somebody's work still; empty when it is not known to be."""
    leader = sighting.facts.session
    if leader in (0, sighting.facts.id.pid) or leader in strong:
        return ""
    holder = known.holders.get(leader)
    if isinstance(holder, Gone) or (isinstance(holder, Above) and holder.dead):
        return ""
    if not isinstance(holder, Above):
        return f"nobody could tell whether process {leader}, which leads its session (setsid), lives"
    return f"process {leader} ({holder.name}), which leads its session (setsid), lives"


def _marks(sighting: Sighting) -> tuple[Mark, ...]:
    """All but those that it has set itself."""
    marks = () if isinstance(sighting.marks, Unknown) else sighting.marks
    return tuple(mark for mark in marks if mark.pid != sighting.facts.id.pid)


def _is_hung_up(sighting: Sighting) -> bool:
    return isinstance(sighting.stdio, Stdio) and sighting.stdio.terminal and not sighting.facts.terminal


def _is_in_a_session_of(sighting: Sighting, known: Surmise) -> bool:
    """Whether its session (setsid) is that of one who is known to have ended: it made none, nor did who bore it."""
    leader = sighting.facts.session
    return leader in known.owners or any(mark.pid == leader for mark in _marks(sighting))


def _holds_nothing(stdio: Stdio | Unknown | None) -> bool:
    return isinstance(stdio, Stdio) and not stdio.terminal and not stdio.pipe
