"""Closes what an agent before had announced and was not there to see through.

An intent without an outcome is an open question: were they ended, or was the agent killed
before it could? It is answered with what is there now, and nothing is done again on its
account: whoever is left of a dead session is judged anew like everybody else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sentinel.atomic import PLAINLY
from sentinel.core.events import IntentAbandoned, Left
from sentinel.core.facts import ProcessId
from sentinel.journalfile import rotated
from sentinel.observe import processes
from sentinel.records import INTENDED, PREFIX

_TAIL = 256 * 1024
"""Bytes at the end of a journal file: an agent dies with its last words there."""
_OPENS = PREFIX + INTENDED
_CLOSES = {PREFIX + kind for kind in ("cleanup.done", IntentAbandoned.type)}
_decode = msgspec.json.Decoder().decode

Data = dict[str, Any]


def abandoned(journal: Path, boot: str) -> Iterator[IntentAbandoned]:
    """What is open at the end of the journal, by session; to be asked before anything new is begun.

    Args:
        journal: The current file.
        boot: The kernel's id of this boot: processes of another one are gone.
    """
    waiting: dict[str, list[Data]] = {}
    for record in _records(journal):
        with suppress(KeyError, TypeError, AttributeError):  # somebody edited it
            session = record["data"]["session"]
            key = str(session["key"] if isinstance(session, dict) else session)
            if record["type"] == _OPENS:
                waiting.setdefault(key, []).append(record)
            else:
                waiting.pop(key, None)
    for key, intents in waiting.items():
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            here = str(intents[0]["id"]).rpartition("-")[0] == boot[:8]
            if not (here and _sees_to_itself(intents[0]["data"]["session"])):
                yield IntentAbandoned(key, int(intents[0]["seq"]), tuple(_left(intents, here=here)))


def _records(journal: Path) -> Iterator[Data]:
    for number in (1, 0):
        for line in _tail(rotated(str(journal), number)):
            if b'"dev.sentinel.action.' not in line and b'"dev.sentinel.cleanup.' not in line:
                continue
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                record = _decode(line)
                if isinstance(record, dict) and (record.get("type") == _OPENS or record.get("type") in _CLOSES):
                    yield record


def _tail(path: str) -> list[bytes]:
    """The last lines of a file; of one that cannot be read, none."""
    try:
        fd = os.open(path, PLAINLY)
    except OSError:
        return []
    try:
        start = max(0, os.fstat(fd).st_size - _TAIL)
        lines = os.pread(fd, _TAIL, start).split(b"\n")
    except OSError:
        return []
    finally:
        os.close(fd)
    return lines[1:] if start else lines


def _sees_to_itself(session: Data) -> bool:
    """A ``sentinel run`` without an agent cleans up after its command itself: that one may be at it."""
    return session["kind"] == "run" and _now(session["root"]) == "alive"


def _left(intents: list[Data], *, here: bool) -> Iterator[Left]:
    told: set[str] = set()
    for intent in intents:
        data = intent["data"]
        for target in data.get("targets", []):
            if target["id"] not in told:
                told.add(target["id"])
                yield Left(target["id"], target["name"], _now(target["id"]) if here else "gone")
        path = data["target"]["path"] if "target" in data else ""
        if path and path not in told:
            told.add(path)
            yield Left(path, "", "there" if os.path.lexists(path) else "gone")


def _now(identity: str) -> str:
    """What became of ``PID@START``."""
    pid, _, start = identity.partition("@")
    match processes.ended(ProcessId(int(pid), int(start))):
        case True:
            return "gone"
        case False:
            return "alive"
        case _:
            return "unknown"
