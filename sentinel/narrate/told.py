"""Records of the journal as sentences. Also damaged ones, and those of a newer version.

What a record holds was clean when it was written; somebody may have edited the file since.
So every sentence is cleaned once more, and what is not as it should be is told plainly.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping

from sentinel.core.buttons import Button
from sentinel.core.facts import Death
from sentinel.core.hooks import NOT_THE_END
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count, how_it_died
from sentinel.narrate import locks, registry, switches, tmux
from sentinel.narrate.words import Data, duration, first, left_out, listed, pid

_PREFIX = "dev.sentinel."
_LONGEST = 600
_MOST_DETAILS = 12
"""Beyond that a list is not read, and the counts in the sentence say enough."""
_WAY = re.compile(r"(?:^|; )(desktop|tmux|terminal): ")
_BEFORE_A_WAY = re.compile(r"; (?=(?:desktop|tmux|terminal): )")
"""Several reasons for which nothing was shown stand in one text, each behind the name of its way."""


def kind(record: Mapping[str, object]) -> str:
    """The type without the domain: ``session.died``."""
    return clean(str(record.get("type", "")).removeprefix(_PREFIX))


def sentence(record: Mapping[str, object]) -> str:
    """One line for people. Never raises; an unknown record is told by its type and data."""
    tell = _SENTENCES.get(kind(record))
    data = record.get("data")
    if tell is not None and isinstance(data, dict):
        try:
            return clean(tell(data), _LONGEST)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            pass  # not what this version writes
    return clean(f"{kind(record)} {_compact(data)}".strip(), _LONGEST)


def details(record: Mapping[str, object]) -> list[str]:
    """A line for each process or file that the record is about, when they are few enough to read."""
    tell = _DETAILS.get(kind(record))
    data = record.get("data")
    if tell is None or not isinstance(data, dict):
        return []
    try:
        lines = tell(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return [clean(line, _LONGEST) for line in lines] if len(lines) <= _MOST_DETAILS else []


def _compact(data: object) -> str:
    if data is None:
        return ""
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return str(data)


# -- sentences ----------------------------------------------------------------------


def _agent_started(data: Data) -> str:
    why = f", {data['why']}" if data["why"] else ""
    sampled = data["source"] == "polling"
    how = "it samples births and deaths" if sampled else "the kernel tells it of births and deaths"
    before = data.get("instead_of")  # not in what was written before there was this word
    instead = f"; it took over from process {before}, which had not ended in good order" if before else ""
    return f"Sentinel {data['version']} watches; {how} ({data['source']}{why}){instead}"


def _started_safely(data: Data) -> str:
    return f"Sentinel is in safe mode, and ends nothing: {data['why']}"


def _agent_stopped(data: Data) -> str:
    return "Sentinel stopped" + (f": {data['why']}" if data["why"] else "")


def _ledger_restored(data: Data) -> str:
    if data["trouble"]:
        return f"what the agent before knew was set aside: {data['trouble']}"
    ended = f" ({data['ended']} had ended)" if data["ended"] else ""
    what = f"{count(data['sessions'], 'session')} with {count(data['processes'], 'process')}"
    return f"took over {what} from the agent before{ended}"


def _session_opened(data: Data) -> str:
    session = data["session"]
    where = f" in {session['directory']}" if session["directory"] else ""
    how = {"registered": "registered", "born": "seen at its birth", "found": "found running", "taken over": "as before"}
    return f"{session['id']} is watched: {session['title']}{where}, {how.get(data['how'], data['how'])}"


def _session_moved(data: Data) -> str:
    return f"{data['before']['id']} has put itself into the background: it is {data['session']['id']} now"


def _hook_fired(data: Data) -> str:
    whose = data["session"]["id"] if data["session"] else data["agent"]
    detail = f" ({data['detail']})" if data["detail"] else ""
    meaning = ""
    if data["hook"] == "SessionEnd":
        ends = data["detail"] not in NOT_THE_END
        meaning = ", so its end is near" if ends else ": it goes on with another conversation"
    tasks = f"; in the background: {', '.join(data['tasks'])}" if data["tasks"] else ""
    return f"{whose} told {data['hook']}{detail}{meaning}{tasks}" + (f"; {data['note']}" if data["note"] else "")


def _death(data: Data) -> str:
    return f"{data['session']['id']} {how_it_died(Death(data['death']['at'], data['death']['status']))}"


def _session_judged(data: Data) -> str:
    verdicts = Counter(verdict["verdict"] for verdict in data["processes"])
    doomed = f"{count(verdicts['condemned'], 'process')} to end" if verdicts["condemned"] else "nothing to end"
    spared = f", {verdicts['spared']} spared" if verdicts["spared"] else ""
    return f"{data['session']['id']}: {doomed}{spared}" + left_out(data)


def _action_intended(data: Data) -> str:
    match data["action"]:
        case "terminate":
            targets = data["targets"]
            number = len(targets) + data.get("targets_left_out", 0)
            what = f"{targets[0]['name']} ({pid(targets[0]['id'])})" if number == 1 else count(number, "process")
            how = f"SIGTERM, SIGKILL after {data['grace']:g} s" if data["grace"] else "SIGTERM, SIGKILL at once"
            return f"about to end {what} of {data['session']['id']}: {how}"
        case "kill group":
            return f"about to kill the control group of {data['session']['id']}: {first(data['evidence'])}"
        case "unstick":
            return f"about to send SIGCHLD to a tmux server ({pid(data['server'])}): {first(data['evidence'])}"
        case "reopen":
            return f"about to send SIGUSR1 to a tmux server ({pid(data['server'])}): {first(data['evidence'])}"
        case "sweep sockets":
            return f"about to remove {count(data['number'], 'dead socket')} in {data['directory']}"
        case "remove lock":
            return f"about to remove {data['target']['path']}: {first(data['target']['evidence'])}"
        case action:
            return f"about to {action} {data['target']['path']} of {data['session']['id']}"


def _cleaned_up(data: Data) -> str:
    results = Counter(outcome["result"] for outcome in data["outcomes"])
    ended = [outcome for outcome in data["outcomes"] if outcome["result"] in {"ended", "killed"}]
    parts = []
    if ended:
        one = len(ended) == 1 and ended[0]["name"]
        what = f"{one} ({pid(ended[0]['target'])})" if one else count(len(ended), "process")
        how = f" ({results['killed']} by SIGKILL)" if results["killed"] else ""
        parts.append(f"ended {what} in {duration(data['duration'])}{how}")
    if results["gone"]:
        parts.append(f"{results['gone']} had ended before")
    if results["removed"]:
        parts.append(f"removed {count(results['removed'], 'file')}")
    if results["kept"]:
        parts.append(f"kept {count(results['kept'], 'file')}")
    if results["survived"]:
        parts.append(f"{count(results['survived'], 'process')} survived")
    if results["refused"]:
        parts.append(f"could not clean up {count(results['refused'], 'thing')}{_why(data, 'refused')}")
    if results["held"]:
        parts.append(f"left {count(results['held'], 'process')} alone{_why(data, 'held')}")
    return f"{data['session']['id']}: {listed(parts) or 'nothing was done'}" + left_out(data)


def _why(data: Data, result: str) -> str:
    """The reason of the first outcome of that result."""
    why = next(outcome["reason"] for outcome in data["outcomes"] if outcome["result"] == result)
    return f" ({why})" if why else ""


def _abandoned(data: Data) -> str:
    now = Counter(left["now"] for left in data["targets"])
    what = ", ".join(f"{number} {word}" for word, number in now.items())
    return f"e{data['intent']} about {data['session']} was not finished by the agent before; now {what or 'nothing'}"


def _supervised(data: Data) -> str:
    what = f"{data['name']} ({pid(data['process'])})"
    return f"{data['session']['id']}: {what} is started again by {data['by_name']} (pid {data['by']}): it is left alone"


def _session_closed(data: Data) -> str:
    return f"{data['session']['id']} is closed: no process of it is left"


def _config_read(data: Data) -> str:
    if data["trouble"]:
        return f"the configuration was refused, and the one before it holds: {data['trouble']}"
    later = f"; at the next start: {', '.join(data['later'])}" if data["later"] else ""
    return f"the configuration was read again{later}"


def _notified(data: Data) -> str:
    text = data["text"].partition("\n")[0].partition("\\x0a")[0]
    if data["shown"]:
        return f"told by {data['by']}: {text}" if data.get("by") else f"told: {text}"
    ways = _WAY.findall(data["why"])
    if len(ways) <= 1:
        return f"not shown ({data['why']})" + (f": {text}" if text else "")
    tried = f"{', '.join(ways[:-1])} or {ways[-1]}"
    return f"not shown by {tried}" + (f": {text}" if text else "; why: sentinel notify --test")


def _why_not_shown(data: Data) -> list[str]:
    return [] if data["shown"] else _BEFORE_A_WAY.split(data["why"])


def _pressed(data: Data) -> str:
    return f'"{Button(data["button"]).label}" was pressed on a notification'


def _lost(data: Data) -> str:
    return f"notices of {data['source']} were lost, everything is looked at again: {data['why']}"


def _degraded(data: Data) -> str:
    return f"{data['source']} does not work as it should: {data['why']}"


def _woke(data: Data) -> str:
    return f"the machine slept for {duration(data['slept'])}: everything is looked at again"


def _handler_failed(data: Data) -> str:
    return f"{data['handler']} failed on {data['event']}: {data['error']}"


def _refused(data: Data) -> str:
    before = f" ({data['unrecorded']} more before it)" if data.get("unrecorded") else ""
    return f"a message from pid {data['peer']} was refused: {data['why']}{before}"


_SENTENCES: dict[str, Callable[[Data], str]] = {
    "agent.started": _agent_started,
    "agent.safe": _started_safely,
    "agent.stopped": _agent_stopped,
    "ledger.restored": _ledger_restored,
    "session.opened": _session_opened,
    "session.moved": _session_moved,
    "hook.fired": _hook_fired,
    "session.died": _death,
    "session.judged": _session_judged,
    "action.intended": _action_intended,
    "cleanup.done": _cleaned_up,
    "action.abandoned": _abandoned,
    "process.supervised": _supervised,
    "session.closed": _session_closed,
    **tmux.SENTENCES,
    **registry.SENTENCES,
    **locks.SENTENCES,
    **switches.SENTENCES,
    "config.read": _config_read,
    "notification.sent": _notified,
    "notification.pressed": _pressed,
    "source.lost": _lost,
    "source.degraded": _degraded,
    "system.woke": _woke,
    "handler.failed": _handler_failed,
    "inbox.refused": _refused,
}

# -- details ------------------------------------------------------------------------


def _verdicts(data: Data) -> list[str]:
    lines = []
    for verdict in data["processes"]:
        match verdict["verdict"]:
            case "condemned":
                why = first(verdict["evidence"])
            case "spared":
                why = verdict["reason"]
            case _:
                why = "it had ended before"
        name = f" {verdict['name']}" if verdict.get("name") else ""
        lines.append(f"{pid(verdict['id'])}{name}: {verdict['verdict']}, {why}")
    return lines


def _outcomes(data: Data) -> list[str]:
    lines = []
    for outcome in data["outcomes"]:
        target = outcome["target"] if outcome["target"].startswith("/") else pid(outcome["target"])
        name = f" {outcome['name']}" if outcome["name"] else ""
        reason = f", {outcome['reason']}" if outcome["reason"] else ""
        lines.append(f"{target}{name}: {outcome['result']}{reason}")
    return lines


def _left(data: Data) -> list[str]:
    lines = []
    for left in data["targets"]:
        what = left["target"] if left["target"].startswith("/") else pid(left["target"])
        lines.append(f"{what}{' ' if left['name'] else ''}{left['name']}: {left['now']}")
    return lines


_DETAILS: dict[str, Callable[[Data], list[str]]] = {
    "session.judged": _verdicts,
    "cleanup.done": _outcomes,
    "action.abandoned": _left,
    "notification.sent": _why_not_shown,
}
