"""``sentinel clean``: what lay around before Sentinel was there."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence

import click

from sentinel.cli import screen, times
from sentinel.cli.numbers import Pid
from sentinel.cli.surgery import UNDONE, Room, agreed, open_room, outcome_as_data, summary
from sentinel.core.actions import Outcome
from sentinel.core.policy import Policy
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.core.sessions import Kind, Session
from sentinel.core.tally import size
from sentinel.core.verdicts import Spared
from sentinel.doctor.clearing import forbidden
from sentinel.doctor.findings import Asked, Finding
from sentinel.doctor.sockets import stale_sockets

_AGGRESSIVE_GRACE = 0.5
"""Seconds; otherwise it is what the configuration says for `run`."""
_LONGEST = 120


@click.command("clean")
@click.argument("pids", nargs=-1, metavar="[PID]...", type=Pid())
@click.option(
    "--level",
    type=click.Choice(["graceful", "aggressive"]),
    default="graceful",
    help="How long what is asked to end may take; never who is asked.",
)
@click.option("--project", metavar="DIR", help="Only what works in this directory or below it.")
@click.option("--older-than", metavar="TIME", help="Only what is at least so old: 30m, 1h, 2d.")
@click.option("--pattern", metavar="RE", help="Only what has this in its command line; wants --older-than.")
@click.option("--dry-run", is_flag=True, help="Show, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes to what is offered.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; changes nothing without --yes.")
def command(
    *,
    pids: tuple[int, ...],
    level: str,
    project: str | None,
    older_than: str | None,
    pattern: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what was left behind before Sentinel watched, and end it when you say so.

    What the ledger proves, and that of which two independent witnesses agree, is offered;
    the rest is only shown. To end that, name its PID, or a --pattern with an --older-than.
    Works with and without an agent.

    Exit status: 0 nothing is left, or all that was offered or named is done; 1 something stays.
    """
    asked = _asked(pids, project, older_than, pattern)
    room = open_room()
    findings = room.leftovers.find(asked)
    ended = _sockets(room, asked, findings)
    spared = [finding for finding in findings if pids and finding.target is None]
    above = room.leftovers.named_above
    held = forbidden(room.core.policy())
    offered = sum(finding.target is not None for finding in findings) + len(ended)
    if not as_json and (findings or ended or not above):
        screen.say("\n".join(_lines(findings, ended)))
    if held and offered:
        screen.say(f"sentinel: {clean(held, 400)}", err=True)
    acts = bool(offered) and not dry_run and not held and _agrees(offered, yes=yes, as_json=as_json)
    outcomes = room.act(findings, ended, _grace(room.core.policy(), level)) if acts else []
    if as_json:
        click.echo(json.dumps(_told(findings, ended, held, outcomes)))
    elif told_last := [*(summary(outcomes) if acts else ()), *_refused(spared), *_our_own(above)]:
        screen.say("\n".join(told_last))
    undone = any(outcome.result in UNDONE for outcome in outcomes)
    sys.exit(1 if undone or (not dry_run and (spared or above or (offered and not acts))) else 0)


# -- what is asked ----------------------------------------------------------------------


def _asked(pids: tuple[int, ...], project: str | None, older_than: str | None, pattern: str | None) -> Asked:
    if pids and (project or older_than or pattern):
        raise click.UsageError("PIDs say whom already: they go without --project, --older-than and --pattern")
    if pattern is not None and older_than is None:
        raise click.UsageError("a pattern alone fits too much: say --older-than as well, such as 1h")
    try:
        expression = None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise click.UsageError(f'"{pattern}" is no regular expression: {error}') from error
    directory = "" if project is None else os.path.realpath(project)
    if directory and not os.path.isdir(directory):
        raise click.UsageError(f"{project} is no directory")
    return Asked(pids, expression, _seconds(older_than), directory)


def _sockets(room: Room, asked: Asked, findings: Sequence[Finding]) -> list[Session]:
    """Sockets that nobody holds, or that nobody will hold when those are ended who are offered."""
    then = [session for session in room.leftovers.ended if session.belongings.sockets]
    if asked.pids or asked.pattern:
        return then
    places = {asked.project or os.getcwd(), *(finding.portrait.directory for finding in findings)}
    return [*stale_sockets(os.getuid(), places, room.where.quarantine, asked.older_than), *then]


def _seconds(span: str | None) -> float:
    if span is None:
        return 0.0
    seconds = times.after(span, 0)
    if seconds <= 0:
        raise click.UsageError("an age is more than nothing")
    return seconds


def _grace(policy: Policy, level: str) -> float:
    grace = policy.of(Kind.RUN).grace
    return min(grace, _AGGRESSIVE_GRACE) if level == "aggressive" else grace


def _agrees(offered: int, *, yes: bool, as_json: bool) -> bool:
    if as_json and not yes:
        return False
    return agreed(f"End or remove {count(offered, 'thing')}?", yes=yes)


# -- how it is shown --------------------------------------------------------------------


def _lines(findings: Sequence[Finding], ended: Sequence[Session]) -> Iterator[str]:
    if not findings and not ended:
        yield "Nothing was left behind, as far as can be seen."
        return
    offered = [finding for finding in findings if finding.target is not None]
    if offered:
        yield "Left behind, and offered to be ended:"
        yield from _table(offered)
    if shown := [finding for finding in findings if finding.target is None]:
        yield "Only shown:"
        yield from _table(shown)
    if ended:
        yield "Sockets that nobody holds, or that nobody will hold then, offered to be removed:"
        yield from (f"  {clean(_path(session), 400)}" for session in ended)


def _refused(spared: Sequence[Finding]) -> Iterator[str]:
    """What is said of those who are named, or hang under one that is, and stay."""
    if spared:
        first, number = spared[0].candidate.id.pid, count(len(spared), "process")
        yield f"{number} of what you named may not be ended. Why: sentinel explain {first} --why-not"


def _our_own(above: Sequence[int]) -> Iterator[str]:
    yield from (f"This command runs under process {pid}, which stays with all that is part of it." for pid in above)


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    columns, indent = screen.width(), " " * 12
    yield screen.broken(f"  {'PID':>8}  {'GRADE':<6}  {'AGE':>6}  {'MEMORY':>8}  COMMAND", columns, indent)
    for finding in findings:
        pid, grade = finding.candidate.id.pid, finding.candidate.grade
        seen = finding.portrait
        command = clean(seen.command, _LONGEST)
        figures = f"  {pid:>8}  {grade:<6}  {times.age(seen.age):>6}  {size(seen.memory):>8}"
        yield screen.broken(f"{screen.unbroken(figures)}  {command}", columns, indent)
        evidence = [*finding.candidate.evidence, *([f"but: {finding.why_not}"] if finding.why_not else [])]
        yield from (f"{indent}- {clean(sentence, 400)}" for sentence in evidence)


def _path(session: Session) -> str:
    return session.belongings.sockets[0].path


def _told(
    findings: Sequence[Finding], ended: Sequence[Session], held: str, outcomes: Sequence[Outcome]
) -> dict[str, object]:
    return {
        "candidates": list(map(_as_data, findings)),
        "sockets": [clean(_path(one), 4096) for one in ended],
        "held": clean(held, 400),
        "outcomes": list(map(outcome_as_data, outcomes)),
    }


def _as_data(finding: Finding) -> dict[str, object]:
    return {
        "pid": finding.candidate.id.pid,
        "identity": str(finding.candidate.id),
        "name": clean(finding.candidate.facts.name),
        "command": clean(finding.portrait.command, 4096),
        "directory": clean(finding.portrait.directory, 4096),
        "grade": finding.candidate.grade,
        "offered": finding.target is not None,
        "why_not": clean(finding.why_not, 400),
        "guard": finding.verdict.guard if isinstance(finding.verdict, Spared) else "",
        "evidence": [clean(sentence, 400) for sentence in finding.candidate.evidence],
        "doubts": [clean(sentence, 400) for sentence in finding.candidate.doubts],
        "age": round(finding.portrait.age, 1),
        "memory": finding.portrait.memory,
    }
