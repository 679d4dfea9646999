"""``sentinel events``: the history, and what comes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sentinel.cli import give_up_output
from sentinel.cli.numbers import Number

if TYPE_CHECKING:
    from sentinel.history import Cursor, Entry, History

_DEFAULT_LINES = 20
_INTERRUPTED = 128 + 2  # how shells tell of SIGINT


@click.command("events")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes.")
@click.option("-n", "--lines", type=Number(min=0), metavar="N", help="The last N only; 20 unless --since is given.")
@click.option("--since", metavar="TIME", help="From then on.")
@click.option("--until", metavar="TIME", help="Up to then.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help='Of this type; "session" is all "session.*". Repeatable.'
)
@click.option(
    "--session", "sessions", multiple=True, metavar="SESSION", help="Of the session with this id or name. Repeatable."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="text, or JSON lines.")
@click.option(
    "--cursor-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Go on where the last call with this file ended, and note there where this one does.",
)
def command(
    *,
    follow: bool,
    lines: int | None,
    since: str | None,
    until: str | None,
    types: tuple[str, ...],
    sessions: tuple[str, ...],
    output: str,
    cursor_file: Path | None,
) -> None:
    """Show what happened: deaths, judgements, clean-ups, and why.

    Works without the agent. With --follow it ends at Ctrl-C, or when --until has come.

    TIME is a moment: "2026-10-30 18:17:16", "18:17", "yesterday", or a span before now: 10m,
    "10m ago", -1h (--since=-1h); +10m is after now. 2s is two seconds ago.
    """
    from sentinel import paths
    from sentinel.history import Cursor, History

    now = time.time()
    wanted = _Filter(_types(types), frozenset(sessions), _stamp("--since", since, now), _stamp("--until", until, now))
    after = Cursor.load(cursor_file) if cursor_file is not None else None
    if lines is None and since is None and after is None:
        lines = _DEFAULT_LINES
    journal = paths.find().journal
    history = History(journal, after)
    stream = _Stream(history, wanted, _Printer(output), cursor_file)
    try:
        shown = stream.past(lines)
        if follow:
            stream.follow(journal.parent, None if until is None else _time("--until", until, now))
        elif not shown:
            _say_why_nothing(journal, wanted)
    except BrokenPipeError:
        give_up_output()  # who read has had enough
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        if history.damaged and output == "text":
            _say(f"lines that are damaged and were passed over: {history.damaged}")


@dataclass(frozen=True, slots=True)
class _Filter:
    """What the person wants to see."""

    types: frozenset[str]
    sessions: frozenset[str]
    since: str
    until: str
    """Empty, or a time as records have it."""

    def __call__(self, record: Mapping[str, object]) -> bool:
        stamp = str(record.get("time", ""))
        return (
            (not self.since or stamp >= self.since)
            and (not self.until or stamp <= self.until)
            and (not self.types or str(record.get("type")) in self.types)
            and (not self.sessions or bool(self.sessions & names(record)))
        )


def names(record: Mapping[str, object]) -> set[str]:
    """What the session of a record can be called: its id, its key and its name."""
    data = record.get("data")
    session = data.get("session") if isinstance(data, dict) else None
    if isinstance(session, dict):
        return {str(session[word]) for word in ("id", "key", "name") if session.get(word)}
    if isinstance(session, str):  # a key: name-PID@START
        about = session.rpartition("@")[0] or session
        return {session, about, about.rpartition("-")[0]} - {""}
    return set()


class _Printer:
    """Prints records, for people or for programs."""

    def __init__(self, output: str) -> None:
        self._show = self._as_json if output == "json" else self._as_text
        self._bold = output == "text" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no "…" is no reason to fail

    def show(self, entry: Entry) -> None:
        """Print one record, at once. Raises BrokenPipeError."""
        click.echo(self._show(entry), color=self._bold)

    def _as_json(self, entry: Entry) -> str:
        if entry.text.isprintable():
            return entry.text
        import json  # somebody else wrote that line; the same object, with everything odd escaped

        return json.dumps(entry.record)

    def _as_text(self, entry: Entry) -> str:
        from sentinel import narrate
        from sentinel.cli import screen, times

        when = times.local(str(entry.record.get("time")))
        kind = narrate.kind(entry.record)
        columns = screen.width()
        told = f"{when}  {f'e{entry.seq}':6}  {kind:17}  {narrate.sentence(entry.record)}"
        told = screen.broken(told, columns, "    ")
        if self._bold:
            told = told.replace(kind, click.style(kind, bold=True), 1)
        details = (screen.broken(f"    {line}", columns, "      ") for line in narrate.details(entry.record))
        return "\n".join([told, *details])


class _Stream:
    """Records from the history to the printer, with the cursor behind them."""

    def __init__(self, history: History, wanted: _Filter, printer: _Printer, cursor_file: Path | None) -> None:
        self._history = history
        self._wanted = wanted
        self._printer = printer
        self._cursor_file = cursor_file
        self._saved: Cursor | None = None

    def past(self, lines: int | None) -> int:
        """Print what is there, or the last ``lines`` of it. The number of records printed."""
        if lines is None:
            return self._print(entry for entry in self._history.read() if self._wanted(entry.record))
        if not self._history.cursor.seq:
            return self._print(self._history.last(lines, self._wanted))
        from collections import deque

        unread = (entry for entry in self._history.read() if self._wanted(entry.record))
        return self._print(deque(unread, lines))

    def follow(self, directory: Path, until: float | None) -> None:
        """Print what comes, until the time has come or nobody reads any more."""
        from sentinel.cli.follow import LONGEST_SLEEP, Waker

        with Waker(str(directory)) as waker:
            while True:
                left = LONGEST_SLEEP if until is None else until - time.time()
                waker.clear()
                news = self._print(entry for entry in self._history.read() if self._wanted(entry.record))
                if left <= 0 or _nobody_reads():
                    return
                waker.sleep(left, news=bool(news))

    def _print(self, entries: Iterable[Entry]) -> int:
        number = 0
        for entry in entries:
            self._printer.show(entry)
            number += 1
        # After printing: should we die in between, a record is printed twice, but none is lost.
        if self._cursor_file is not None and self._history.cursor != self._saved:
            self._saved = self._history.cursor
            self._saved.save(self._cursor_file)
        return number


def _nobody_reads() -> bool:
    """Whether stdout is a pipe without a reader. Asked, since a quiet history would not find out by writing."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (OSError, ValueError):  # no descriptor: somebody captures the output
        return False


def _types(asked: tuple[str, ...]) -> frozenset[str]:
    """All types that are meant, as records have them."""
    if not asked:
        return frozenset()
    from sentinel.core.events import RECORDED
    from sentinel.records import INTENDED, PREFIX

    known = sorted({event.type for event in RECORDED} | {INTENDED})
    meant: set[str] = set()
    for name in asked:
        short = name.removeprefix(PREFIX).removesuffix("*").removesuffix(".")
        found = {PREFIX + kind for kind in known if kind == short or kind.startswith(short + ".")}
        if not found:
            why = f'no event is of the type "{name}"; there are: {", ".join(known)}'
            raise click.BadParameter(why, param_hint="--type")
        meant |= found
    return frozenset(meant)


def _time(option: str, text: str, now: float) -> float:
    from sentinel.cli import times

    try:
        return times.parse(text, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _stamp(option: str, text: str | None, now: float) -> str:
    from sentinel.cli import times

    return "" if text is None else times.rfc3339(_time(option, text, now))


def _say_why_nothing(journal: Path, wanted: _Filter) -> None:
    """Nothing was printed: a sentence, and an error when a session was asked for that never was.

    Raises:
        NoSuchThing: One of the sessions occurs nowhere in the history.
    """
    from sentinel.errors import NoSuchThing
    from sentinel.history import History

    never = set(wanted.sessions)
    everything = History(journal)
    for entry in everything.read() if never else ():
        never -= names(entry.record)
    everything.close()
    if never:
        listed = ", ".join(f'"{name}"' for name in sorted(never))
        raise NoSuchThing(f"the history knows no session {listed}; `sentinel events --type session` lists them")
    _say("no events" if journal.exists() else f"no events yet: there is no history in {journal.parent}")


def _say(sentence: str) -> None:
    from sentinel.cli import screen
    from sentinel.core.sanitise import clean

    screen.say(f"sentinel: {clean(sentence, 500)}", err=True)
