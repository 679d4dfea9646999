"""What a record of the journal looks like: the one place that says so.

A record is a CloudEvents 1.0 object of one line. Its ``data`` is a shape of its own, not a
mirror of our classes, since other people's programs read it: a process is ``PID@START``
everywhere, a session carries its key, a death the name of its signal, a verdict the word
for what it is.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import msgspec

from sentinel.core.actions import (
    Action,
    KillGroup,
    RemoveDirectory,
    RemoveLock,
    RemoveSocket,
    Reopen,
    SweepSockets,
    Terminate,
    Unstick,
)
from sentinel.core.events import Event, SessionOpened
from sentinel.core.facts import Death, ProcessFacts, ProcessId
from sentinel.core.fitting import cleaned, shorter
from sentinel.core.sanitise import clean
from sentinel.core.sentences import signal_name
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, Condemned, Kept, Spared, Stale

PREFIX = "dev.sentinel."
"""Stands before every type, as CloudEvents wants a reversed domain name there."""
INTENDED = "action.intended"
MAX_LINE = 16 * 1024
"""Bytes of a line, the line feed included."""

_HEAD_ROOM = 1024
"""Bytes for all but the data; that is the subject, and 400."""
_LONGEST_SUBJECT = 120
# JSON needs \" and \\; any other escape stands for a control character.
_ESCAPED_CONTROL = re.compile(rb'\\[^"\\]')
_to_json = msgspec.json.Encoder().encode
_SOURCE = f"/sentinel/{os.getuid()}"


@dataclass(slots=True)
class Draft:
    """A record that has no number yet: that is given under the lock."""

    before: str
    """From after the id to before the sequence number."""
    cause: int
    after: bytes
    seq: int = 0

    @property
    def size(self) -> int:
        """Bytes of the line, at most."""
        return _HEAD_ROOM + len(self.after)

    def line(self, boot: str) -> bytes:
        """The whole line, numbered."""
        head = f'{{"specversion":"1.0","id":"{boot}-{self.seq}",{self.before}"seq":{self.seq},"cause":{self.cause},'
        return head.encode() + self.after


def draft(thing: Event | Action, cause: int) -> Draft:
    """Describe what happened or is about to be done, as of now. The line will hold clean text only."""
    now = time.time_ns()
    kind = thing.type if isinstance(thing, Event) else INTENDED
    before = f'"source":"{_SOURCE}","type":"{PREFIX}{kind}",{_subject(thing)}"time":"{_rfc3339(now)}",'
    data = _encode(_plain(thing))
    return Draft(before, cause, b'"monons":%d,"data":%b}\n' % (time.monotonic_ns(), data))


def _encode(data: object) -> bytes:
    """Encode, and clean or shorten only what needs it: nearly nothing does, and an intent is urgent."""
    try:
        encoded = _to_json(data)
    except UnicodeEncodeError:  # a lone surrogate
        encoded = b"\n"
    if _ESCAPED_CONTROL.search(encoded) or not encoded.decode().isprintable():
        data = cleaned(data)
        encoded = _to_json(data)
    if len(encoded) <= MAX_LINE - _HEAD_ROOM:
        return encoded
    for less in shorter(data):
        encoded = _to_json(less)
        if len(encoded) <= MAX_LINE - _HEAD_ROOM:
            break
    return encoded


def _rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest // 1000:06d}Z"


def _subject(thing: Event | Action) -> str:
    """The member with its comma, or nothing: CloudEvents forbids an empty one."""
    for name in ("session", "server", "peer"):
        about = getattr(thing, name, None)
        if about:
            break
    else:
        return ""
    match about:
        case Session():
            about = about.id
        case ProcessId():
            about = about.pid
    return f'"subject":{_encode(clean(str(about), _LONGEST_SUBJECT)).decode()},'


# -- shapes -------------------------------------------------------------------------

_FEW = 200
"""Names of swept files that are written down: a line of the journal has room for no thousands."""


def _session(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "key": session.key,
        "kind": session.kind,
        "name": session.name,
        "title": session.title,
        "root": str(session.root),
        "outer": session.outer,
        "directory": session.directory,
        "born": session.born,
        "command": session.command,
    }


def _session_opened(event: SessionOpened) -> dict[str, object]:
    belongings = _fields(event.session.belongings)
    return {"session": {**_session(event.session), "belongings": belongings}, "how": event.how}


def _death(death: Death) -> dict[str, object]:
    return {
        "at": death.at,
        "status": death.status,
        "cause": death.cause,
        "signal": None if death.signal is None else signal_name(death.signal),
        "code": death.code,
    }


def _facts(facts: ProcessFacts) -> dict[str, object]:
    """All but the id, which stands beside it."""
    return {
        "parent": facts.parent,
        "group": facts.group,
        "session": facts.session,
        "terminal": facts.terminal,
        "state": facts.state,
        "name": facts.name,
        "uid": facts.uid,
        "tracer": facts.tracer,
        "hangup_ignored": facts.hangup_ignored,
        "hangup_caught": facts.hangup_caught,
        "hangup_pending": facts.hangup_pending,
        "foreign_namespace": facts.foreign_namespace,
        "kernel_thread": facts.kernel_thread,
        "memory": facts.memory,
    }


def _condemned(verdict: Condemned) -> dict[str, object]:
    return {
        "verdict": "condemned",
        "id": str(verdict.id),
        "name": verdict.facts.name,
        "grade": verdict.grade,
        "evidence": verdict.evidence,
        "facts": _facts(verdict.facts),
    }


def _spared(verdict: Spared) -> dict[str, object]:
    """As it reads: what the ledger keeps for the next judgement is in its reason."""
    fields = _fields(verdict)
    del fields["under"]
    return {"verdict": "spared", **fields}


def _terminate(action: Terminate) -> dict[str, object]:
    return {
        "action": "terminate",
        "session": _session(action.session),
        "targets": [_condemned(target) for target in action.targets],
        "grace": action.grace,
    }


def _sweep_sockets(action: SweepSockets) -> dict[str, object]:
    """They are judged alike: the evidence of one is that of all."""
    return {
        "action": "sweep sockets",
        "directory": action.directory,
        "number": len(action.targets),
        "names": [target.path.rpartition("/")[2] for target in action.targets[:_FEW]],
        "evidence": action.targets[0].evidence if action.targets else (),
    }


def _named(word: str) -> Callable[[Any], dict[str, object]]:
    return lambda action: {"action": word, **_fields(action)}


_VERDICT_WORDS: dict[type, dict[str, object]] = {
    Absent: {"verdict": "absent"},
    Stale: {"verdict": "stale"},
    Kept: {"verdict": "kept"},
}

_SHAPES: dict[type, Callable[[Any], object]] = {
    ProcessId: str,
    Session: _session,
    SessionOpened: _session_opened,
    Death: _death,
    ProcessFacts: _facts,
    Condemned: _condemned,
    Spared: _spared,
    Terminate: _terminate,
    KillGroup: _named("kill group"),
    RemoveSocket: _named("remove socket"),
    RemoveLock: _named("remove lock"),
    RemoveDirectory: _named("remove directory"),
    Unstick: _named("unstick"),
    Reopen: _named("reopen"),
    SweepSockets: _sweep_sockets,
}
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _plain(value: object) -> object:
    """Turn anything into what JSON has. What has no shape of its own is told field by field."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if (shape := _SHAPES.get(kind)) is not None:
        return shape(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {**_VERDICT_WORDS.get(kind, {}), **_fields(value)}
    return str(value)


def _fields(value: Any) -> dict[str, object]:
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
