import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import records
from sentinel.core import events
from sentinel.core.actions import KillGroup, Outcome, RemoveDirectory, RemoveSocket, Result, Terminate, Unstick
from sentinel.core.buttons import Button
from sentinel.core.facts import Death, ProcessFacts, ProcessId
from sentinel.core.rules.locks import LockKind
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.core.verdicts import Absent, Condemned, Spared, Stale

SESSION = Session(
    Kind.AGENT,
    "claude",
    ProcessId(4231, 99881),
    belongings=Belongings(sockets=(SocketMark("/p/a.sock", 1, 2),)),
)
DEATH = Death(12.5, 9)


def facts(pid, name="node"):
    return ProcessFacts(ProcessId(pid, 7), 4231, 4231, 4231, 0, "S", name, 1000)


def condemned(pid, evidence=("born of claude",), name="node"):
    return Condemned(ProcessId(pid, 7), facts(pid, name), tuple(evidence))


STALE = Stale("/p/a.sock", 1, 2, ("nobody is bound to it",))
EVENTS = [
    events.AgentStarted("0.1.0", "polling", "no connector", 4231),
    events.StartedSafely("it crashed three times"),
    events.AgentStopped("it was told to"),
    events.LedgerRestored(1, 2, 3),
    events.SessionOpened(SESSION, "found"),
    events.SessionMoved(SESSION, SESSION),
    events.HookFired(SESSION, "claude", "Stop", "", "0f8", ("npm run dev",), "CLAUDE_PID says 7"),
    events.SessionDied(SESSION, DEATH),
    events.SessionJudged(
        SESSION,
        DEATH,
        (condemned(1), Spared(ProcessId(2, 7), "tmux", "it is a tmux server"), Absent(ProcessId(3, 7))),
    ),
    events.CleanedUp(SESSION, (Outcome("1@7", Result.ENDED, name="node"),), 0.004, 4),
    events.IntentAbandoned(SESSION.key, 4, (events.Left("8@1", "node", "gone"),)),
    events.Supervised(SESSION, ProcessId(5, 7), "node", 4, "npm"),
    events.SessionClosed(SESSION),
    events.ServerUnstuck(ProcessId(9, 9), ("it holds a zombie",), Outcome("9@9", Result.CURED)),
    events.ServerReopened(ProcessId(9, 9), ("its socket is gone",), Outcome("9@9", Result.CURED)),
    events.TmuxSessionOpened(SESSION, "$1", "work"),
    events.TmuxSessionRenamed(SESSION, "$1", "play", "work"),
    events.TmuxSessionClosed(SESSION, "$1", "play"),
    events.SocketsSwept("/run/tmux-7", 2, (Outcome("/run/tmux-7/c", Result.REFUSED, "in use"),), 0.1, 4),
    events.LockRemoved("/p/x.pid", LockKind.PID_FILE, "process 9", Outcome("/p/x.pid", Result.REMOVED), 0.3, 4),
    events.LockKept("/p/x.pid", LockKind.PID_FILE, "in-use", "it is in use: held by sh (pid 9)"),
    events.FileReturned("/p/x.pid", 12.5),
    events.SessionRegistered("s1", 1, "registered", "api", "/srv", {"a": "b"}, "box", "b", 7, ProcessId(5, 7), 12.5),
    events.ChildNamed("s1", 1, ProcessId(6, 7), "named", own=True),
    events.RegistrationEnded("s1", 1, "it said so"),
    events.RegistryRebuilt("it is damaged", "/p/registry.db.damaged-1", 2, 3),
    events.SessionReleased(SESSION),
    events.Paused(12.5),
    events.PauseRanOut(12.5, ""),
    events.WentOn("a person has paused Sentinel"),
    events.KeepSaid(ProcessId(5, 7), "node", "", kept=True),
    events.BreakerOpened("6 causes within 30 s"),
    events.ConfigurationRead("", ("sources",)),
    events.Notified(SESSION.key, "claude was killed", shown=False, why="no bus"),
    events.ButtonPressed(SESSION.key, Button.PAUSE),
    events.EventsLost("files", "overflow"),
    events.SourceDegraded("files", "no watch left"),
    events.Woke(3600.0),
    events.HandlerFailed("handler", "SessionDied", "KeyError: 1"),
    events.MessageRefused(77, "not allowed"),
]
ACTIONS = [
    Terminate(SESSION, (condemned(1),), 2.0),
    RemoveSocket(SESSION, STALE),
    RemoveDirectory(SESSION, Stale("/p/d", 1, 3, ("its server is dead",))),
    Unstick(ProcessId(9, 9), ("it holds a zombie",)),
    KillGroup(SESSION, "/user.slice/sentinel-run-1-7", ("it goes on forking",)),
]


def sample(kind):
    """The event of that type."""
    return next(event for event in EVENTS if type(event) is kind)


def written(thing, cause=0, seq=1):
    new = records.draft(thing, cause)
    new.seq = seq
    line = new.line("deadbeef")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= min(new.size, records.MAX_LINE)
    return json.loads(line)


def test_the_samples_are_of_every_recorded_type():
    assert [type(event) for event in EVENTS] == list(events.RECORDED)


@pytest.mark.parametrize("thing", [*EVENTS, *ACTIONS], ids=lambda thing: type(thing).__name__)
def test_a_record_is_a_cloudevent(thing):
    record = written(thing, cause=17, seq=18)
    assert record["specversion"] == "1.0"
    assert record["id"] == "deadbeef-18"
    assert record["source"].startswith("/sentinel/")
    assert record["type"] == "dev.sentinel." + (getattr(thing, "type", "") or "action.intended")
    assert record.get("subject", "there is none") != ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["time"])
    assert (record["seq"], record["cause"]) == (18, 17)
    assert record["monons"] > 0
    assert isinstance(record["data"], dict)
    assert all(re.fullmatch("[a-z0-9]+", name) for name in record)  # CloudEvents 1.0, naming of attributes


@pytest.mark.parametrize(
    ("thing", "subject"),
    [
        (sample(events.SessionDied), "claude-4231"),
        (ACTIONS[0], "claude-4231"),
        (ACTIONS[3], "9"),
        (sample(events.MessageRefused), "77"),
        (sample(events.Notified), "claude-4231@99881"),
        (sample(events.AgentStarted), None),
    ],
)
def test_the_subject_is_what_it_is_about(thing, subject):
    assert written(thing).get("subject") == subject


def test_what_is_told_of_an_intent():
    data = written(ACTIONS[0])["data"]
    assert data["action"] == "terminate"
    assert data["grace"] == 2.0
    assert data["session"]["key"] == "claude-4231@99881"
    (target,) = data["targets"]
    assert target["id"] == "1@7"
    assert target["evidence"] == ["born of claude"]
    assert target["facts"]["parent"] == 4231


def test_all_facts_but_the_id_are_told():
    told = written(ACTIONS[0])["data"]["targets"][0]["facts"]
    assert {*told, "id"} == {field.name for field in dataclasses.fields(ProcessFacts)}


def test_what_is_told_of_a_judgement():
    data = written(sample(events.SessionJudged))["data"]
    assert data["death"] == {"at": 12.5, "status": 9, "cause": "killed by", "signal": "SIGKILL", "code": None}
    assert [verdict["verdict"] for verdict in data["processes"]] == ["condemned", "spared", "absent"]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\x9b", "exe\u202etxt", "\udcff\ud800", "\x7f", "\u2028"])
def test_foreign_text_is_clean_in_the_line(name):
    new = records.draft(Terminate(SESSION, (condemned(1, [f"its name is {name}"], name),), 2.0), 0)
    text = new.line("deadbeef").decode().removesuffix("\n")
    assert text.isprintable()
    told = json.loads(text)["data"]["targets"][0]
    assert told["name"].isprintable()
    assert "\\" in told["name"]


def test_what_is_clean_stays_as_it_is():
    name = 'Größe "\\" 🦊/x'
    assert written(Terminate(SESSION, (condemned(1, name=name),), 2.0))["data"]["targets"][0]["name"] == name


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_gives_one_line_of_json(text):
    session = Session(Kind.RUN, text, ProcessId(1, 1), directory=text)
    written(Terminate(session, (condemned(1, [text] * 3, text),), 2.0))
    written(events.HandlerFailed(text, text, text))
    written(events.Notified(text, text, shown=True))


def test_long_evidence_is_cut_and_says_so():
    many = [f"sentence {number} " + "x" * 150 for number in range(200)]
    (target,) = written(Terminate(SESSION, (condemned(1, many),), 2.0))["data"]["targets"]
    assert target["evidence"][0] == many[0]
    assert target["evidence"][-1] == "(197 more, too long for the journal)"
    assert "facts" in target


def test_a_path_is_told_whole():
    path = "/" + "\x1b" * 1000
    many = ["x" * 500] * 50
    data = written(RemoveSocket(SESSION, Stale(path, 1, 2, tuple(many))))["data"]
    assert data["target"]["path"] == "/" + "\\x1b" * 1000


@pytest.mark.parametrize("number", [40, 80, 150])
def test_of_many_targets_each_is_named(number):
    evidence = ["x" * 100] * 3
    targets = tuple(condemned(pid, evidence) for pid in range(number))
    told = written(Terminate(SESSION, targets, 2.0))["data"]["targets"]
    assert [target["id"] for target in told] == [f"{pid}@7" for pid in range(number)]
    assert all(target["evidence"] for target in told)


def test_too_many_targets_are_counted():
    targets = tuple(condemned(pid) for pid in range(5000))
    data = written(Terminate(SESSION, targets, 2.0))["data"]
    assert len(data["targets"]) > 50
    assert len(data["targets"]) + data["targets_left_out"] == 5000


def test_a_thing_of_no_known_shape_is_told_field_by_field():
    @dataclasses.dataclass(frozen=True)
    class Novel(events.Event):
        type = "novel.thing"

        what: frozenset[Kind]
        odd: object

    data = written(Novel(frozenset({Kind.RUN}), {1: ProcessId(5, 6), "c": complex(1, 2)}))["data"]
    assert data == {"what": ["run"], "odd": {"1": "5@6", "c": "(1+2j)"}}
