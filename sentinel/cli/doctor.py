"""``sentinel doctor``: what is wrong here, and what can be done about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

import click

from sentinel import config, paths
from sentinel.cli import screen
from sentinel.cli.surgery import UNDONE, Room, agreed, open_room, outcome_as_data, summary
from sentinel.config import Config
from sentinel.core.actions import Outcome
from sentinel.core.policy import Policy
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.core.sessions import Kind
from sentinel.doctor.check import Remedy, Report, Status, Trouble, examine
from sentinel.doctor.checks import CHECKS
from sentinel.doctor.clearing import forbidden
from sentinel.doctor.patient import Patient
from sentinel.environments.doctoring import PORTS
from sentinel.errors import ConfigError

_MARKS = {Status.WELL: "ok", Status.FOUND: "!!", Status.UNKNOWN: "??"}
_CANNOT_TELL = 2


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Do what can be done, after you have seen it and said yes.")
@click.option("-y", "--yes", is_flag=True, help="Say yes to what --fix would do.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; fixes nothing without --yes.")
def command(*, fix: bool, yes: bool, as_json: bool) -> None:
    """Look for what is wrong, and say how that is known and what would mend it.

    Sessions of tmux are only shown, whatever they look like. What others work with, and what
    you protect, is not touched.

    Exit status: 0 all is well (with --fix: or was mended), 1 something was found, 2 something
    could not be checked.
    """
    wishes, refused = _wishes()
    room = open_room(wishes)
    patient = Patient(room.where, wishes, room.leftovers, refused)
    reports = examine(patient, (*CHECKS, PORTS))
    if not as_json:
        screen.say("\n".join(_lines(reports, fix=fix)))
    outcomes = _mend(room, _remedies(reports), yes=yes, as_json=as_json) if fix else []
    if as_json:
        told = {"checks": list(map(_as_data, reports)), "outcomes": list(map(outcome_as_data, outcomes))}
        click.echo(json.dumps(told))
    elif outcomes:
        screen.say("\n".join(summary(outcomes)))
    sys.exit(_status(reports, outcomes))


def _wishes() -> tuple[Config, str]:
    """What the person wishes; where that cannot be read the defaults with nothing ended, and why it cannot."""
    try:
        return config.load(paths.find().config_file), ""
    except ConfigError as error:
        return Config(Policy(held="the configuration cannot be used")), str(error)


def _status(reports: Sequence[Report], outcomes: Sequence[Outcome]) -> int:
    if any(report.status is Status.UNKNOWN for report in reports):
        return _CANNOT_TELL
    troubles = [trouble for report in reports for trouble in report.troubles]
    mended = bool(outcomes) and all(trouble.remedy for trouble in troubles)
    return 0 if not troubles or (mended and not any(outcome.result in UNDONE for outcome in outcomes)) else 1


# -- what is done -----------------------------------------------------------------------


def _remedies(reports: Sequence[Report]) -> list[Remedy]:
    """Each once: a process that holds a port was left behind, too."""
    remedies = [trouble.remedy for report in reports for trouble in report.troubles if trouble.remedy is not None]
    return list({remedy.says: remedy for remedy in remedies}.values())


def _mend(room: Room, remedies: Sequence[Remedy], *, yes: bool, as_json: bool) -> list[Outcome]:
    """Show the plan, ask, and do it."""
    if not remedies:
        return []
    if not as_json:
        click.echo("What can be done:")
        for number, remedy in enumerate(remedies, 1):
            screen.say(f"  {number}. {clean(remedy.says, 400)}")
    if why := forbidden(room.core.policy()):
        screen.say(f"sentinel: {clean(why, 400)}", err=True)
        return []
    if (as_json and not yes) or not agreed(f"Do {'this' if len(remedies) == 1 else 'all of this'}?", yes=yes):
        return []
    reopens = [remedy.reopens for remedy in remedies if remedy.reopens is not None]
    ends = [finding for remedy in remedies for finding in remedy.ends]
    removes = [session for remedy in remedies for session in remedy.removes]
    return room.act(ends, removes, room.core.policy().of(Kind.RUN).grace, reopens)


# -- how it is shown --------------------------------------------------------------------


def _lines(reports: Sequence[Report], *, fix: bool) -> Iterator[str]:
    category = ""
    for report in reports:
        if report.check.category != category:
            category = report.check.category
            yield category
        if report.status is Status.WELL:
            yield f"  {_MARKS[Status.WELL]} {report.check.title}"
        elif report.status is Status.UNKNOWN:
            yield f"  {_MARKS[Status.UNKNOWN]} could not check whether {report.check.title}: {clean(report.why, 400)}"
        for trouble in report.troubles:
            yield from _about(trouble)
    found = sum(len(report.troubles) for report in reports)
    unknown = sum(report.status is Status.UNKNOWN for report in reports)
    told = [count(found, "finding")] if found else []
    told += [f"{count(unknown, 'check')} without an answer"] if unknown else []
    yield f"{count(len(reports), 'check')}: {', '.join(told) or 'all is well'}."
    if found and fix and not _remedies(reports):
        yield "Nothing of it can be done by --fix: what you can do is said there."
    if not fix and _remedies(reports):
        yield "What can be done about it is done by: sentinel doctor --fix"


def _about(trouble: Trouble) -> Iterator[str]:
    yield f"  {_MARKS[Status.FOUND]} {clean(trouble.what, 400)}"
    yield from (f"       - {clean(sentence, 400)}" for sentence in trouble.evidence)
    if trouble.remedy is not None:
        yield f"       fix: {clean(trouble.remedy.says, 400)}"
    elif trouble.hint:
        condition, colon, command = clean(trouble.hint, 400).rpartition(": ")
        yield f"       you can: {condition}{colon}{screen.unbroken(command) if colon else command}"


def _as_data(report: Report) -> dict[str, object]:
    return {
        "check": report.check.id,
        "category": report.check.category,
        "status": report.status,
        "why": clean(report.why, 400),
        "took": round(report.took, 3),
        "found": [
            {
                "what": clean(trouble.what, 400),
                "evidence": [clean(sentence, 400) for sentence in trouble.evidence],
                "fix": clean(trouble.remedy.says, 400) if trouble.remedy is not None else "",
                "hint": clean(trouble.hint, 400),
            }
            for trouble in report.troubles
        ],
    }
