"""``sentinel explain``: what is known of a thing, what would be done with it, and what was done."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from sentinel import client, paths, wire
from sentinel.cli import screen
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.errors import ConfigError, NoSuchThing, NotRunning, SentinelError
from sentinel.history import Entry, History, Record

_EVENT = re.compile(r"(?:e|[0-9a-f]{8}-)(?P<seq>\d+)", re.ASCII | re.IGNORECASE)
_REMEMBERED = 24
"""Records of its past that are shown of a thing: two lives of a session, most times."""


@click.command("explain")
@click.argument("what", metavar="PID|PATH|EVENT|SESSION")
@click.option("--why-not", is_flag=True, help="Say of each guard whether it speaks for a process.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(what: str, *, why_not: bool, as_json: bool) -> None:
    """Say what Sentinel knows of a thing, and what it would do with it now.

    EVENT is an event's number as `sentinel events` shows it, such as e42; SESSION what `sentinel
    sessions` calls one, or what tmux does.

    With --why-not, of any process on the machine: what would have to be different for it to be
    ended. Exit status 1 when nothing is known.
    """
    if not what.strip():
        raise click.UsageError("say what to explain: a PID, PATH, EVENT or SESSION")
    where = paths.find()
    what = what.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if (event := _EVENT.fullmatch(what)) is not None:
        told = _event(int(event["seq"]), where.journal)
    else:
        told = _thing_or_file(what, where)
    if why_not and told["kind"] != "process":
        raise _not_about_a_process(what, told)
    click.echo(json.dumps(told) if as_json else "\n".join(screen.fitted(_why_not(told) if why_not else _lines(told))))


def _not_about_a_process(what: str, told: Mapping[str, object]) -> Exception:
    from sentinel.handlers.naming import is_pid

    if told["kind"] == "past" and is_pid(what):
        return NoSuchThing(f"there is no process {what} any more; what was done with it: sentinel explain {what}")
    return click.UsageError("--why-not is about a process: give its PID")


# -- what is known ---------------------------------------------------------------------


def _event(seq: int, journal: Path) -> dict[str, object]:
    causes: dict[int, int] = {}
    event: Record | None = None
    followed: list[Record] = []
    for entry in History(journal).read():  # it may be long: only what is shown is kept
        causes[entry.seq] = _cause(entry)
        if entry.seq == seq:
            event = entry.record
        elif causes[entry.seq] == seq:
            followed.append(entry.record)
    if event is None:
        raise NoSuchThing(f"there is no event e{seq} in the journal")
    line = [seq]
    while (cause := causes[line[0]]) in causes and cause not in line:
        line.insert(0, cause)
    because = [entry.record for entry in History(journal).read() if entry.seq in line[:-1]] if line[1:] else []
    return {"kind": "event", "what": f"event e{seq}", "because": because, "event": event, "then": followed}


def _cause(entry: Entry) -> int:
    cause = entry.record.get("cause")
    return cause if isinstance(cause, int) else 0


def _thing_or_file(what: str, where: paths.Paths) -> dict[str, object]:
    """A word without a slash is a file, too, where nothing else is called so."""
    if "/" not in what:
        try:
            return _thing(what, where)
        except NoSuchThing:
            if not os.path.lexists(what):
                raise
    return _thing(os.path.abspath(what), where)


def _thing(what: str, where: paths.Paths) -> dict[str, object]:
    past: deque[Record] = deque(maxlen=_REMEMBERED)
    number = 0
    for entry in History(where.journal).read():
        if what in _names(entry):
            past.append(entry.record)
            number += 1
    try:
        told = _now(what, where)
    except ConfigError:
        raise
    except SentinelError as error:
        if not past:
            raise NoSuchThing(f"{error}, and the journal does not mention it") from error
        would = f"nothing: {error}; this is what the history knows"
        told = {"kind": "past", "what": clean(what), "would": would, "evidence": [], "against": []}
    return {**told, "past": list(past), "past_left_out": number - len(past)}


def _now(what: str, where: paths.Paths) -> dict[str, object]:
    try:
        answer = client.ask(where.inbox, wire.Explain(what))
    except NotRunning:
        from sentinel.cli.alone import explain

        answer = explain(where, what)
    if not isinstance(answer, dict):
        raise SentinelError("the agent's answer cannot be read")
    return answer


def _names(entry: Entry) -> set[str]:
    """Everything that a record is about: pids, paths, and names of sessions."""
    return set(_words(entry.record.get("data"))) | {str(entry.record.get("subject", ""))}


def _words(data: object) -> Iterator[str]:
    match data:
        case {"key": str(key), "id": str(id_), "name": str(name), "root": str(root)}:
            yield from (key, id_, name, root.partition("@")[0])
        case {"server": {}, "number": str(), "name": str(name), **more}:  # of a session inside of tmux
            yield from (name, str(more.get("before", name)))
        case {"id": str(who)} | {"target": str(who)}:
            yield from (who, who.partition("@")[0])
    match data:
        case dict():
            for name, value in data.items():
                if name == "path" and isinstance(value, str):
                    yield value
                yield from _words(value)
        case list():
            for value in data:
                yield from _words(value)


# -- how it is shown -------------------------------------------------------------------


def _lines(told: dict[str, object]) -> Iterator[str]:
    if told["kind"] == "event":
        yield from _told("Because", told["because"])
        yield from _told("This", [told["event"]])
        yield from _told("Then", told["then"])
        return
    yield str(told["what"]) + (f", identity {told['identity']}" if "identity" in told else "")
    yield f"  Sentinel would now: {told['would']}"
    if told.get("alone"):
        yield "  (no agent is running: this is what a look from here shows)"
    yield from _listed("What is known", told.get("evidence"))
    against = told.get("against")
    if isinstance(against, list) and against:
        yield "  What speaks against ending it:"
        yield from (f"    - {objection['reason']} [{objection['guard']}]" for objection in against)
    panes = told.get("panes")
    if isinstance(panes, list):
        told_of = [f"{pane['id']} in {pane['directory']}, {count(pane['processes'], 'process')}" for pane in panes]
        yield from _listed("Its panes", told_of)
    members = told.get("members")
    if isinstance(members, list) and members:
        yield "  What it owns:"
        yield from (f"    - {m['pid']} {m['name']}: {m['reason']}" for m in members)
    yield from _listed("What it said to run in the background", told.get("tasks"))
    yield from _listed("Its files", told.get("files"))
    yield from _told(_title(told.get("past_left_out")), told.get("past"))


def _title(earlier: object) -> str:
    more = f" (and {count(earlier, 'record')} before)" if isinstance(earlier, int) and earlier else ""
    return f"What was done{more}"


def _why_not(told: dict[str, object]) -> Iterator[str]:
    """Every guard's view of a process."""
    yield f"{told['what']}, identity {told['identity']}"
    yield f"  Sentinel would now: {told['would']}"
    against, silent = told.get("against"), told.get("silent")
    if isinstance(against, list) and against:
        yield "  For it to be ended, all of this would have to be different:"
        yield from (f"    - {objection['reason']} [{objection['guard']}]" for objection in against)
    if isinstance(silent, list) and silent:
        yield "  This was asked, and does not speak for it:"
        yield from (f"    - {guard['title']} [{guard['guard']}]" for guard in silent)


def _listed(title: str, sentences: object) -> Iterator[str]:
    if isinstance(sentences, list) and sentences:
        yield f"  {title}:"
        yield from (f"    - {sentence}" for sentence in sentences)


def _told(title: str, records: object) -> Iterator[str]:
    if not isinstance(records, list) or not records:
        return
    yield f"  {title}:"
    for record in records:
        yield from _record(record)


def _record(record: dict[str, object]) -> Iterable[str]:
    from sentinel.cli import times
    from sentinel.narrate import details, sentence

    when = times.local(str(record.get("time", "")))
    yield f"    {when} e{record.get('seq')} {sentence(record)}"
    yield from (f"      {line}" for line in details(record))
