"""What came of dead sessions, added up, and the sentence that says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sentinel.core.actions import Outcome, Result
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Spared

_NAMED = 2
"""Sessions that a sentence names; of the others it says how many they are."""
_PORTS = 3
_REMEMBERED = 1024
"""Keys of sessions that are told apart. What comes beyond them counts as another session each time."""
_LONGEST_PLACE = 40
COLUMNS = 80
"""Of the one line that tmux has for a message, on a terminal as wide as most are at least."""
_LONGEST_SUBJECT = 24
_LONGEST_COMMAND = 36
_REASONS = 5
"""Things of which it is told why."""
_ROOM = 390
"""Characters for all of that: a popup shows 400."""
MOST_FILES = 20
"""Files that a popup gives back. Of more the command does."""
_GB, _MB = 1_000_000_000, 1_000_000
_WITH_A_REASON = (Result.ENDED, Result.KILLED, Result.SURVIVED, Result.REFUSED, Result.REMOVED)
"""What ``_reason`` has a sentence for."""
_WORTH_SAYING = _MB
"""Bytes. Less than that is nothing to be glad of."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a condemned process held when it was judged."""

    memory: int = 0
    """Bytes. What it shares with others is counted, so a sum of these is about right only."""
    ports: tuple[int, ...] = ()
    """TCP ports that it listened on."""
    name: str = ""
    evidence: str = ""
    """The sentence that says most of why it was condemned."""


@dataclass(slots=True)
class Tally:
    """What was done after sessions died: results of all of them, names of the first."""

    names: list[str] = field(default_factory=list)
    """Noun phrases, clean."""
    how: str = ""
    """The predicate of the first: how it died."""
    first: Session | None = None
    keys: set[str] = field(default_factory=set)
    sessions: int = 0
    results: Counter[Result] = field(default_factory=Counter)
    held_by: str = ""
    """Why what was held was held."""
    spared: int = 0
    memory: int = 0
    ports: set[int] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    """Why, of the first things: sentences, clean."""
    files: list[str] = field(default_factory=list)
    """Paths of what was removed. Of several tallies at most one more than `MOST_FILES`: that many do not come back."""

    def add(self, other: Tally) -> None:
        """Take in what came of others. A session that is known by now is not counted once more."""
        fresh = other.sessions - len(other.keys & self.keys)
        if self.first is None:
            self.first, self.how = other.first, other.how
        if fresh:
            self.names = [*self.names, *other.names][:_NAMED]
        if len(self.keys) < _REMEMBERED:
            self.keys |= other.keys
        self.sessions += fresh
        self.results.update(other.results)
        self.held_by = self.held_by or other.held_by
        self.spared += other.spared
        self.memory += other.memory
        self.ports |= other.ports
        self.reasons = [*self.reasons, *other.reasons][:_REASONS]
        self.files = [*self.files, *other.files][: MOST_FILES + 1]

    def __bool__(self) -> bool:
        return self.sessions > 0


def tally(
    session: Session,
    how: str,
    outcomes: Iterable[Outcome],
    *,
    spared: Collection[Spared] = (),
    held: Mapping[str, Holdings] | None = None,
    home: str = "",
) -> Tally:
    """What came of one session.

    Args:
        session: The dead one.
        how: It died, as a predicate: ``was killed by SIGKILL``.
        outcomes: For each process and file.
        spared: Processes that were left alone.
        held: What processes held, by their ids; only what those held that ended is free now.
        home: The user's home directory, which is shown as ``~``.
    """
    it = Tally([_named(session, home)], how, session, {session.key}, 1, spared=len(spared))
    for outcome in outcomes:
        it.results[outcome.result] += 1
        was = held.get(outcome.target) if held else None
        if len(it.reasons) < _REASONS and (reason := _reason(outcome, was, session, how)):
            it.reasons.append(reason)
        if outcome.result is Result.HELD:
            it.held_by = it.held_by or clean(outcome.reason)
        elif outcome.result in {Result.ENDED, Result.KILLED} and was is not None:
            it.memory += was.memory
            it.ports.update(was.ports)
        elif outcome.result is Result.REMOVED:
            it.files.append(outcome.target)
    for one in list(spared)[: _REASONS - len(it.reasons)]:
        it.reasons.append(clean(f"{_thing(one.name, str(one.id))} left alone: {one.reason}", _ROOM))
    return it


def _reason(outcome: Outcome, was: Holdings | None, session: Session, how: str) -> str:
    """Why this came of a process or a file; empty where nothing worth telling did."""
    match outcome.result:
        case Result.ENDED | Result.KILLED:
            what = _thing(outcome.name or (was.name if was else ""), outcome.target)
            evidence = was.evidence.replace(f" ({session.key})", "") if was else ""  # the last line names it
            said = f"{what}: {evidence or f'born of {session.title} at its end'}"
        case Result.SURVIVED | Result.REFUSED:
            said = f"{_thing(outcome.name, outcome.target)} is still there: {outcome.reason}"
        case Result.REMOVED:
            said = f"{_thing('', outcome.target)}: left by {session.title}, which {how}"
        case _:
            return ""
    return clean(said, _ROOM)


def _thing(name: str, target: str) -> str:
    """A file by its name, a process by its own and its number."""
    if target.startswith("/"):
        return target.rpartition("/")[2]
    return f"{name or 'process'} ({target.partition('@')[0]})"


def of_lock(path: str, holder: str, home: str = "") -> Tally:
    """What came of a lock whose holder ended: it was removed."""
    who = f"{holder} ({place(path, home)})"
    it = Tally([clean(who, 80)], "ended", keys={path}, sessions=1, results=Counter({Result.REMOVED: 1}))
    it.reasons.append(clean(f"{_thing('', path)}: its holder, {holder}, has ended", _ROOM))
    it.files.append(path)
    return it


def sentence(it: Tally, taken: Iterable[int] = ()) -> str:
    """Say all of it. ``taken``: the ports on which somebody listens now, which are not free."""
    parts = [*_done(it), *_freed(it, set(taken))]
    return f"{_who(it)}: {', '.join(parts) or 'nothing was done'}."


def reasons(it: Tally, more: str) -> str:
    """Why all of this was done: a line for each of the first things, and at last the command that tells ``more``."""
    untold = sum(it.results[result] for result in _WITH_A_REASON) + it.spared - len(it.reasons)
    end = [*([f"and {untold} more"] if untold > 0 else []), more]
    room = (_ROOM - sum(len(line) + 1 for line in end)) // max(1, len(it.reasons)) - 1
    return "\n".join([*(clean(reason, room) for reason in it.reasons), *end])


def brief(it: Tally, more: str, taken: Iterable[int] = ()) -> str:
    """Say what matters most in `COLUMNS`, and at the end the command that tells ``more``.

    What there is no room for is left out. A command that would take most of it gives way to a shorter one.
    """
    more = more if len(more) <= _LONGEST_COMMAND else "sentinel events"
    who = f"Sentinel: {clean(_subject(it), _LONGEST_SUBJECT)} died"
    parts: list[str] = []
    room = COLUMNS - len(who) - len(". ") - len(more)
    for part in (*_counts(it), *_ports(it, set(taken)), *_memory(it)):
        if len(part) + 2 <= room:
            parts.append(part)
            room -= len(part) + 2
    return f"{': '.join([who, *([', '.join(parts)] if parts else [])])}. {more}"


def _subject(it: Tally) -> str:
    if it.sessions > 1:
        return f"{it.sessions} sessions"
    return it.first.title if it.first else it.names[0]


def _counts(it: Tally) -> Iterable[str]:
    if ended := it.results[Result.ENDED] + it.results[Result.KILLED]:
        yield f"{ended} ended"
    if left := it.results[Result.SURVIVED] + it.results[Result.REFUSED]:
        yield f"{left} not cleaned"
    if held := it.results[Result.HELD]:
        yield f"{held} not ended"
    if files := it.results[Result.REMOVED]:
        yield f"{count(files, 'stale file')} removed"


def _who(it: Tally) -> str:
    others = it.sessions - len(it.names)
    if it.sessions == 1:
        return f"{it.names[0]} {it.how}"
    if not others:
        return f"{' and '.join(it.names)} died"
    return f"{', '.join(it.names)} and {others} more died"


def _done(it: Tally) -> Iterable[str]:
    results = it.results
    killed, ended = results[Result.KILLED], results[Result.ENDED] + results[Result.KILLED]
    if ended:
        yield f"{count(ended, 'process')} ended" + (f" ({killed} by SIGKILL)" if killed else "")
    if files := results[Result.REMOVED]:
        yield f"{count(files, 'stale file')} removed"
    if left := results[Result.SURVIVED] + results[Result.REFUSED]:
        yield f"{left} could not be cleaned"
    if held := results[Result.HELD]:
        yield f"{count(held, 'process')} not ended ({it.held_by})"


def _freed(it: Tally, taken: set[int]) -> Iterable[str]:
    yield from _memory(it)
    yield from _ports(it, taken)
    if it.spared:
        yield f"{it.spared} left alone"


def _memory(it: Tally) -> Iterable[str]:
    if it.memory >= _WORTH_SAYING:
        yield f"about {size(it.memory)} freed"


def _ports(it: Tally, taken: set[int]) -> Iterable[str]:
    if free := sorted(it.ports - taken):
        shown = ", ".join(map(str, free[:_PORTS])) + (f" and {len(free) - _PORTS} more" if len(free) > _PORTS else "")
        yield f"port{'s' if len(free) > 1 else ''} {shown} free"


def size(number: int) -> str:
    """Bytes for people, in powers of ten: ``1.8 GB``, ``85 MB``; ``0 MB`` for what is less than one."""
    return f"{number / _GB:.1f} GB" if number >= _GB else f"{number / _MB:.0f} MB"


def _named(session: Session, home: str) -> str:
    where = place(session.directory, home)
    return f"{clean(session.title, 80)} in {where}" if where else clean(session.title, 80)


def place(directory: str, home: str) -> str:
    """A path as people write it; of a long one the end."""
    if home and home != "/" and (directory == home or directory.startswith(f"{home}/")):
        directory = f"~{directory[len(home) :]}"
    shown = clean(directory, 4 * _LONGEST_PLACE)
    return shown if len(shown) <= _LONGEST_PLACE else f"…{shown[1 - _LONGEST_PLACE :]}"
