"""Says who must not be ended and who must be, from what the people meant and the kernel knows.

It shares no code with the guards: it goes by truth (who bore whom, what for, who lives),
which the agent never sees, and by what docs/safety.md and docs/rules.md promise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.model.founders import NEVER_KILLED
from tests.model.kernel import OUR_SHELL, TMUX, UID, US, House, Process

_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Promises:
    """What the configuration promises, as docs/configuration.md says it."""

    ends_daemons: bool = False
    reported: frozenset[str] = frozenset()
    """Kinds of which survivors are only reported."""
    reported_after_exit: frozenset[str] = frozenset({"pane"})
    observes: bool = False
    protected_programs: tuple[str, ...] = ()
    sampled: bool = False
    """Births are not told."""
    sees_below: bool = True
    """What hangs under a process can be looked at: where looks fail, that it is needed may stay unseen."""


_CREW = re.compile(r"gt-.*-crew-.*")


def objection(process: Process, promised: Promises, number: int = 15) -> str:
    """Why it is wrong to send this process that signal now; empty when it is right."""
    house = process.house
    if number == _SIGKILL and process.name in NEVER_KILLED:
        return "it must not be killed"
    if promised.observes:
        return "nothing may be done at all"
    if process.pid in {1, OUR_SHELL, US} or process.group == US:
        return "it is Sentinel, or what that runs under"
    if house is None:
        return "no watched session bore it"
    if house.alive and not _taken_for_outer(process, house, promised):
        return f"its {house.kind} lives"
    founded = process.founded
    if founded is not None and founded.root is process and not (promised.sampled and founded.unheard):
        return f"it is a living {founded.kind}"
    if process.uid != UID or process.foreign or process.state == "T" or process.tracer:
        return "it is another user's, in a container, stopped or traced"
    if process.name == TMUX and not _overminds_own(process, house):
        return "it is a tmux server"
    return (
        _at_work(process, house)
        or _needed(process, house, promised)
        or _wanted(process, house, promised)
        or _reported_surely(house, promised)
    )


def _taken_for_outer(process: Process, house: House, promised: Promises) -> bool:
    """Whether what it bore may count as that of a dead session around it: a limit of the samples, and of a new agent.

    What was lost between two of them, and whom nobody could tell to be a session at its birth,
    is not in the ledger, so it cannot be in doubt there. What still hangs under its own root can be seen to.
    """
    if (not promised.sampled and not process.lost) or house.root in process.above():
        return False
    return house.unheard or (house.outer is not None and not house.outer.alive)


def _overminds_own(server: Process, house: House) -> bool:
    return server.overminds and house.kind == "overmind" and server.house is house


def _at_work(process: Process, house: House) -> str:
    """Whether it is at work for something that lives."""
    for above in process.above():
        if above.name == TMUX and not _overminds_own(above, house):
            return f"it runs under the tmux server {above.id}"
        if above.founded is not None and above.founded.root is above:
            return "" if above.founded.kind == "run" else f"it hangs under a living {above.founded.kind}"
    return ""


def _needed(process: Process, house: House, promised: Promises) -> str:
    """Whether somebody who lives needs it, or one of its session that hangs under it."""
    todo = [process]
    while todo:
        one = todo.pop()
        if why := _used(one, house):
            return f"{one.id}: {why}"
        if not promised.sees_below:
            return ""
        todo += [child for child in one.children if child.alive and child.house is house and child.founded is None]
    if _has_stopped_jobs(process, house):
        return "the kernel would hang up on its stopped job"
    traced = [c for c in process.children if c.alive and c.tracer == process.pid and c.house is house]
    return "it debugs what lives" if traced else ""


def _has_stopped_jobs(process: Process, house: House) -> bool:
    """Whether its end would leave a group without a parent in another one of the session: see _exit(2)."""
    stopped, todo = set(), [process]
    while todo:
        below = [child for child in todo.pop().children if child.alive and child.house is house]
        stopped |= {(child.session, child.group) for child in below if child.state == "T"}
        todo += below
    jobs = [child for child in process.children if child.alive and (child.session, child.group) in stopped]
    return any(job.session == process.session and job.group != process.group for job in jobs)


def _used(process: Process, house: House) -> str:
    if any(client.alive and client.house is not house for client in process.clients):
        return "somebody is connected to it"
    feeder = process.feeder
    if feeder is not None and feeder.alive and feeder.house is not house and process.input != house.root.input:
        return "somebody writes into its input"
    return ""


def _wanted(process: Process, house: House, promised: Promises) -> str:
    """Whether somebody wants it, or what it hangs under and works for."""
    for one in (process, *process.above()):
        if one.house is not house:
            break
        if why := wish(one, house, promised):
            return f"{one.id}: {why}"
        if one is not process and (one.uid != UID or one.foreign or one.state == "T" or one.tracer):
            return f"it works for {one.id}, which stays"
    return ""


def wish(process: Process, house: House, promised: Promises) -> str:
    """Why a person wants this very process to stay, as far as the documents promise to see it."""
    if process.kept or process.environment.get("SENTINEL_KEEP"):
        return "somebody said that it is to be kept"
    if process.on_screen or process.secret:
        return "it has a window, or its own user may not look into it"
    if process.unit and process.unit != house.root.unit:
        return "it is in a unit of its own"
    if process.name in promised.protected_programs:
        return "it is a protected program"
    if name := _protected_name(house):
        return f"{name} is protected"
    return _meant(process, house, promised)


def _protected_name(house: House) -> str:
    around: House | None = house
    while around is not None:
        if _CREW.fullmatch(around.name) and not around.unheard:
            return around.name
        around = around.outer
    return ""


def _meant(process: Process, house: House, promised: Promises) -> str:
    """What whoever started it meant by that, where it can be seen."""
    match process.wish:
        case "daemonised" if promised.ends_daemons or process.left is None:
            return ""  # it left a session that was dead already: that is what a dead session leaves
        case "daemonised" if house.command is not None and _is_the_commands(process, house.command, promised):
            return ""  # docs/rules.md: what was the command's own child ends with it
        case "nohup" | "ignores the hang-up" if process.stdio.terminal:
            return ""
        case "disowned":
            shell = house.root
            if house.kind != "pane" or shell.status == _SIGKILL or process.session != shell.pid:
                return ""  # docs/decisions/0003: nobody can tell
            if process.hangup != "default":
                return ""
    return process.wish


def _is_the_commands(process: Process, command: Process, promised: Promises) -> bool:
    """Whether a command bore it, or it may look so: between two samples it fell to that, which is a subreaper."""
    fell = promised.sampled and process.lost and command.subreaper and process.session == process.pid
    return fell or process.bearer is command


def _reported_surely(house: House, promised: Promises) -> str:
    """Whose wishes hold for a process is not sure where looks fail: it may be taken for one of the session outside."""
    why, around = _reported(house, promised), house.outer
    while why and around is not None and not promised.sees_below:
        why, around = _reported(around, promised), around.outer
    return why


def _reported(house: House, promised: Promises) -> str:
    status = house.root.status or 0
    if house.kind in promised.reported:
        return f"what a {house.kind} leaves is only reported"
    if house.kind not in promised.reported_after_exit:
        return ""
    if status == 0 and all(heir.status == 0 for heir in house.heirs):
        return f"the {house.kind} was left in good order"
    if house.kind == "pane" and not status & 0x7F and house.outer is not None and house.outer.alive:
        return "the pane may have been left on purpose"
    return ""


def may_stay(process: Process, promised: Promises) -> bool:
    """Whether its looks protect it, though nobody meant anything by them.

    The documents promise to spare these shapes; who has one by chance is spared as well.
    """
    house = process.house
    if any(above.name == TMUX and not _overminds_own(above, house) for above in process.above()):
        return True
    return any(
        _looks_wanted(one, promised)
        for one in (*_line(process), *process.above())
        if one.house is house or one.wish == "nohup" or one.kept
    )


def _line(process: Process) -> list[Process]:
    """It, the one that bore it, that one's and so on, within its session; and who ran ``nohup`` before all of them."""
    line, inside, link = [process], True, process.bearer
    while link is not None:
        inside = inside and link.house is process.house
        if inside or link.wish == "nohup" or link.kept:
            line.append(link)
        link = link.bearer
    return line


def _looks_wanted(process: Process, promised: Promises) -> bool:
    house = process.house
    if process.hangup == "ignored" and not process.stdio.terminal:
        return True
    if process.name == TMUX or process.negligent or process.wish or process.kept:
        return True
    if house is not None and house.kind == "pane" and process.hangup == "default":
        return process.session == house.root.pid and house.root.status != _SIGKILL
    held = process.stdio.terminal or process.stdio.pipe
    return process.left is not None and not held and not promised.ends_daemons and _own_session(process)


def _own_session(process: Process) -> bool:
    house = process.house
    return house is not None and process.session != house.root.session
