import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import records
from sentinel.core import events
from sentinel.core.actions import KillGroup, Outcome, RemoveLock, RemoveSocket, Result, SweepSockets, Terminate, Unstick
from sentinel.core.buttons import Button
from sentinel.core.events import Left
from sentinel.core.facts import Death, ProcessFacts, ProcessId
from sentinel.core.rules.locks import LockKind, Shape
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.core.verdicts import Absent, Condemned, Spared, Stale
from sentinel.narrate import details, duration, kind, sentence
from sentinel.narrate.told import _SENTENCES

NO_WAY = "desktop: it failed; once: more; tmux: no client is attached; terminal: none"
CLAUDE = Session(
    Kind.AGENT, "claude", ProcessId(4231, 7), directory="/p", belongings=Belongings((SocketMark("/p/a.sock"),))
)

SERVER = Session(Kind.TMUX, "default", ProcessId(9, 1))


def condemned(pid, name="node"):
    who = ProcessId(pid, 7)
    return Condemned(who, ProcessFacts(who, 1, 1, 1, 0, "S", name, 1000), ("born of claude", "claude is dead"))


def spared(pid):
    return Spared(ProcessId(pid, 7), "tmux", "it is a tmux server", name="tmux: server")


def record(thing):
    new = records.draft(thing, 0)
    new.seq = 1
    return json.loads(new.line("deadbeef"))


def judged(processes=(), death=None):
    return events.SessionJudged(CLAUDE, death or Death(1.0, 9), tuple(processes))


STALE = Stale("/p/a.sock", 1, 2, ("nobody is bound to it",))
DIRECTORY = Stale("/p/overmind-x", 1, 3, ("its server is dead",))


def cleaned(*results, name="", duration=0.004):
    outcomes = (Outcome(f"{pid}@7", result, "", name) for pid, result in enumerate(results, 1))
    return events.CleanedUp(CLAUDE, tuple(outcomes), duration)


BEGINNING = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0.0))
SAMPLES = [
    (
        events.AgentStarted("0.1.0", "polling", "the connector is refused"),
        "Sentinel 0.1.0 watches; it samples births and deaths (polling, the connector is refused)",
    ),
    (
        events.ConfigurationRead("sentinel.toml:3: no such key"),
        "the configuration was refused, and the one before it holds: sentinel.toml:3: no such key",
    ),
    (
        events.ConfigurationRead(later=("sources",)),
        "the configuration was read again; at the next start: sources",
    ),
    (
        events.StartedSafely("it crashed 3 times within 60 s"),
        "Sentinel is in safe mode, and ends nothing: it crashed 3 times within 60 s",
    ),
    (events.ConfigurationRead(), "the configuration was read again"),
    (
        events.AgentStarted("0.1.0", "proc connector"),
        "Sentinel 0.1.0 watches; the kernel tells it of births and deaths (proc connector)",
    ),
    (
        events.AgentStarted("0.1.0", "polling", instead_of=4231),
        (
            "Sentinel 0.1.0 watches; it samples births and deaths (polling);"
            " it took over from process 4231, which had not ended in good order"
        ),
    ),
    (events.AgentStopped("it was told to by SIGTERM"), "Sentinel stopped: it was told to by SIGTERM"),
    (events.AgentStopped(""), "Sentinel stopped"),
    (events.LedgerRestored(2, 40, 3), "took over 2 sessions with 40 processes from the agent before (3 had ended)"),
    (events.LedgerRestored(1, 1, 0), "took over 1 session with 1 process from the agent before"),
    (events.LedgerRestored(0, 0, 0, "it is damaged"), "what the agent before knew was set aside: it is damaged"),
    (
        events.IntentAbandoned("p1-7@9", 4, (Left("8@1", "node", "gone"), Left("9@1", "", "alive"))),
        "e4 about p1-7@9 was not finished by the agent before; now 1 gone, 1 alive",
    ),
    (
        events.Supervised(CLAUDE, ProcessId(9, 1), "node", 5, "npm run dev"),
        "claude-4231: node (pid 9) is started again by npm run dev (pid 5): it is left alone",
    ),
    (events.Paused(None), "Sentinel is paused: nothing is ended until `sentinel resume`"),
    (events.Paused(0.0), f"Sentinel is paused until {BEGINNING}: nothing is ended"),
    (events.PauseRanOut(0.0, ""), f"the pause ran out at {BEGINNING}; Sentinel acts again"),
    (events.PauseRanOut(0.0, "x"), f"the pause ran out at {BEGINNING}; nothing is ended all the same: x"),
    (
        events.WentOn("a person has paused Sentinel"),
        "Sentinel acts again. It was held until now: a person has paused Sentinel",
    ),
    (events.KeepSaid(ProcessId(7, 9), "node", "", kept=True), "pid 7 (node) is kept, with all that it bears"),
    (events.KeepSaid(ProcessId(7, 9), "", "", kept=False), "pid 7 is kept no more"),
    (events.KeepSaid(ProcessId(7, 9), "", "p1-7@9", kept=True), "session p1-7@9 is kept, with all that it bears"),
    (
        events.BreakerOpened("6 causes within 30 s"),
        "Sentinel stops itself until `sentinel resume`, and only reports: 6 causes within 30 s",
    ),
    (events.SessionOpened(CLAUDE, "taken over"), "claude-4231 is watched: claude in /p, as before"),
    (events.SessionOpened(CLAUDE, "found"), "claude-4231 is watched: claude in /p, found running"),
    (
        events.SessionOpened(Session(Kind.TMUX, "default", ProcessId(5, 1)), "born"),
        'default-5 is watched: tmux server "default", seen at its birth',
    ),
    (
        events.HookFired(CLAUDE, "claude", "SessionStart", "startup", "0f8"),
        f"{CLAUDE.id} told SessionStart (startup)",
    ),
    (
        events.HookFired(CLAUDE, "claude", "SessionEnd", "clear"),
        f"{CLAUDE.id} told SessionEnd (clear): it goes on with another conversation",
    ),
    (
        events.HookFired(CLAUDE, "claude", "SessionEnd", "other"),
        f"{CLAUDE.id} told SessionEnd (other), so its end is near",
    ),
    (
        events.HookFired(CLAUDE, "claude", "Stop", tasks=("npm run dev", "tail -f log")),
        f"{CLAUDE.id} told Stop; in the background: npm run dev, tail -f log",
    ),
    (
        events.HookFired(None, "codex", "Stop", note="no coding agent is above it"),
        "codex told Stop; no coding agent is above it",
    ),
    (
        events.SessionMoved(
            Session(Kind.OVERMIND, "p1", ProcessId(7, 1)), Session(Kind.OVERMIND, "p1", ProcessId(5, 1))
        ),
        "p1-5 has put itself into the background: it is p1-7 now",
    ),
    (events.SessionDied(CLAUDE, Death(1.0, 9)), "claude-4231 was killed by SIGKILL"),
    (events.SessionDied(CLAUDE, Death(1.0, 3 << 8)), "claude-4231 ended with status 3"),
    (events.SessionDied(CLAUDE, Death(1.0, 0)), "claude-4231 ended in good order"),
    (events.SessionDied(CLAUDE, Death(1.0)), "claude-4231 ended (the kernel did not tell how)"),
    (judged(), "claude-4231: nothing to end"),
    (
        judged([*map(condemned, range(1, 13)), spared(20), Absent(ProcessId(21, 7))]),
        "claude-4231: 12 processes to end, 1 spared",
    ),
    (judged([spared(1)]), "claude-4231: nothing to end, 1 spared"),
    (
        Terminate(CLAUDE, (condemned(1), condemned(2)), 2.0),
        "about to end 2 processes of claude-4231: SIGTERM, SIGKILL after 2 s",
    ),
    (Terminate(CLAUDE, (condemned(8),), 0.0), "about to end node (pid 8) of claude-4231: SIGTERM, SIGKILL at once"),
    (
        KillGroup(CLAUDE, "/a/sentinel-run-4231-7", ("it goes on forking",)),
        "about to kill the control group of claude-4231: it goes on forking",
    ),
    (RemoveSocket(CLAUDE, STALE), "about to remove socket /p/a.sock of claude-4231"),
    (
        Unstick(ProcessId(9, 1), ("it holds a zombie",)),
        "about to send SIGCHLD to a tmux server (pid 9): it holds a zombie",
    ),
    (
        cleaned(*[Result.ENDED] * 11, Result.KILLED),
        "claude-4231: ended 12 processes in 4 ms (1 by SIGKILL)",
    ),
    (cleaned(Result.KILLED, name="node", duration=2.14), "claude-4231: ended node (pid 1) in 2.1 s (1 by SIGKILL)"),
    (
        cleaned(Result.ENDED, Result.GONE, Result.REMOVED, Result.SURVIVED),
        "claude-4231: ended 1 process in 4 ms, 1 had ended before, removed 1 file and 1 process survived",
    ),
    (cleaned(Result.KEPT), "claude-4231: kept 1 file"),
    (cleaned(Result.REFUSED), "claude-4231: could not clean up 1 thing"),
    (
        events.CleanedUp(CLAUDE, (Outcome("/p/a.sock", Result.REFUSED, "it is not ours"),), 0.0),
        "claude-4231: could not clean up 1 thing (it is not ours)",
    ),
    (
        events.CleanedUp(CLAUDE, (Outcome("1@7", Result.HELD, "a person has paused Sentinel"),), 0.0),
        "claude-4231: left 1 process alone (a person has paused Sentinel)",
    ),
    (cleaned(), "claude-4231: nothing was done"),
    (events.SessionClosed(CLAUDE), "claude-4231 is closed: no process of it is left"),
    (
        events.ServerReopened(ProcessId(9, 1), ("its socket is no more",), Outcome("9@1", Result.CURED)),
        "tmux server (pid 9) was sent SIGUSR1: its socket is no more",
    ),
    (
        events.ServerReopened(ProcessId(9, 1), ("its socket is no more",), Outcome("9@1", Result.REFUSED, "no room")),
        "tmux server (pid 9) could not be helped (no room): its socket is no more",
    ),
    (
        events.TmuxSessionOpened(SERVER, "$3", "work\n\x1b[2J"),
        'session "work\\x0a\\x1b[2J" ($3) is open in tmux server "default"',
    ),
    (
        events.TmuxSessionRenamed(SERVER, "$3", "play", "work"),
        'session "work" ($3) in tmux server "default" is called "play" now',
    ),
    (
        events.SocketsSwept("/run/tmux-7", 2, (Outcome("/run/tmux-7/c", Result.REFUSED, "in use"),), 0.1, 4),
        "removed 2 dead sockets in /run/tmux-7 in 100 ms, kept 1",
    ),
    (
        events.LockRemoved("/p/x.pid", LockKind.PID_FILE, "process 9", Outcome("/p/x.pid", Result.REMOVED), 0.3, 4),
        "removed /p/x.pid: its holder, process 9, has ended (sentinel undo brings it back)",
    ),
    (
        events.LockRemoved(
            "/p/x.pid", LockKind.PID_FILE, "process 9", Outcome("/p/x.pid", Result.REFUSED, "in use"), 0.3, 4
        ),
        "/p/x.pid was left by process 9 and not removed: in use",
    ),
    (
        events.LockKept("/p/x.pid", LockKind.PID_FILE, "in-use", "it is in use: held by sh (pid 9)"),
        "/p/x.pid stays: it is in use: held by sh (pid 9)",
    ),
    (events.FileReturned("/p/x.pid", 12.5), "/p/x.pid was put back, as its user wished"),
    (
        RemoveLock(Stale("/p/x.pid", 1, 2, ("its holder, process 9, has ended",)), LockKind.PID_FILE, Shape.FILE),
        "about to remove /p/x.pid: its holder, process 9, has ended",
    ),
    (
        SweepSockets("/run/tmux-7", (STALE, STALE)),
        "about to remove 2 dead sockets in /run/tmux-7",
    ),
    (events.TmuxSessionClosed(SERVER, "$3", "play"), 'session "play" ($3) in tmux server "default" is closed'),
    (
        events.ServerUnstuck(ProcessId(9, 1), ("it holds a zombie",), Outcome("9@1", Result.CURED)),
        "tmux server (pid 9) was sent SIGCHLD: it holds a zombie",
    ),
    (
        events.ServerUnstuck(ProcessId(9, 1), (), Outcome("9@1", Result.REFUSED, "not ours")),
        "tmux server (pid 9) was not cured (not ours): no evidence was recorded",
    ),
    (
        events.SessionRegistered("s1", 2, "cron", "api", "/srv", {"a": "b"}, "box", "b", 7, ProcessId(5, 7), 12.5),
        "s1 has registered: cron in /srv, pid 5",
    ),
    (events.ChildNamed("s1", 2, ProcessId(6, 7), "named", own=True), "s1 calls pid 6 its own"),
    (events.ChildNamed("s1", 2, ProcessId(6, 7), "", own=False), "s1 calls pid 6 its own no more"),
    (events.RegistrationEnded("s1", 2, "it said so"), "s1 is no longer registered: it said so"),
    (
        events.RegistryRebuilt("bits", "/p/r.db.damaged-1", 1, 2),
        "the registry was damaged, set aside as /p/r.db.damaged-1, and rebuilt with 1 session and 2 ended ones: bits",
    ),
    (
        events.RegistryRebuilt("x", "/p/a", 0, 1, "no journal"),
        "the registry was damaged, set aside as /p/a, and rebuilt with 0 sessions and 1 ended one (no journal): x",
    ),
    (
        events.SessionReleased(CLAUDE),
        "claude-4231 is watched no more: it said that it is over, and its process goes on",
    ),
    (events.Notified(CLAUDE.key, "claude was killed.\nsentinel explain x", shown=True), "told: claude was killed."),
    (events.Notified(CLAUDE.key, "claude", shown=False, why="no bus"), "not shown (no bus): claude"),
    (events.ButtonPressed(CLAUDE.key, Button.PAUSE), '"Pause 1 h" was pressed on a notification'),
    (events.Notified(CLAUDE.key, "claude", shown=False, why=NO_WAY), "not shown by desktop, tmux or terminal: claude"),
    (
        events.Notified(CLAUDE.key, "", shown=False, why=NO_WAY),
        "not shown by desktop, tmux or terminal; why: sentinel notify --test",
    ),
    (
        events.EventsLost("files", "overflow"),
        "notices of files were lost, everything is looked at again: overflow",
    ),
    (events.SourceDegraded("files", "no watch left"), "files does not work as it should: no watch left"),
    (events.HandlerFailed("tell", "CleanedUp", "KeyError: 1"), "tell failed on CleanedUp: KeyError: 1"),
    (events.Woke(3600.04), "the machine slept for 3600.0 s: everything is looked at again"),
    (events.MessageRefused(77, "not allowed"), "a message from pid 77 was refused: not allowed"),
    (events.MessageRefused(77, "no", 9), "a message from pid 77 was refused: no (9 more before it)"),
]


@pytest.mark.parametrize(("thing", "told"), SAMPLES)
def test_each_record_is_a_sentence(thing, told):
    assert sentence(record(thing)) == told


def test_there_is_a_sentence_and_a_sample_for_each_type():
    known = {event.type for event in events.RECORDED} | {records.INTENDED}
    assert set(_SENTENCES) == known
    assert {kind(record(thing)) for thing, _ in SAMPLES} == known


def test_a_judgement_in_detail():
    assert details(record(judged([condemned(1), spared(2), Absent(ProcessId(3, 7))]))) == [
        "pid 1 node: condemned, born of claude",
        "pid 2 tmux: server: spared, it is a tmux server",
        "pid 3: absent, it had ended before",
    ]


def test_a_clean_up_in_detail():
    outcomes = (
        Outcome("1@7", Result.ENDED, name="node"),
        Outcome("2@7", Result.SURVIVED, "it did not end"),
        Outcome("/p/a.sock", Result.REMOVED),
        Outcome("/p/b.sock", Result.KEPT, "a living process holds it"),
    )
    assert details(record(events.CleanedUp(CLAUDE, outcomes, 0.1))) == [
        "pid 1 node: ended",
        "pid 2: survived, it did not end",
        "/p/a.sock: removed",
        "/p/b.sock: kept, a living process holds it",
    ]


def test_each_way_by_which_nothing_was_shown_in_detail():
    def why(text, *, shown=False):
        return details(record(events.Notified(CLAUDE.key, "claude", shown=shown, why=text)))

    assert why(NO_WAY) == ["desktop: it failed; once: more", "tmux: no client is attached", "terminal: none"]
    assert why("no bus") == ["no bus"]
    assert why("", shown=True) == []


def test_details_that_nobody_would_read_are_left_out():
    assert len(details(record(judged(map(condemned, range(12)))))) == 12
    assert details(record(judged(map(condemned, range(13))))) == []
    assert details(record(events.SessionClosed(CLAUDE))) == []


def test_what_did_not_fit_into_the_journal_is_counted():
    many = judged(condemned(pid) for pid in range(5000))
    assert "more, for which the journal had no room" in sentence(record(many))
    assert sentence(record(Terminate(CLAUDE, many.processes, 2.0))).startswith("about to end 5000 processes")


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4 ms"), (0.9, "900 ms"), (2.14, "2.1 s")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_an_unknown_type_is_told_with_its_data():
    assert sentence({"type": "dev.sentinel.novel.thing", "data": {"a": [1]}}) == 'novel.thing {"a":[1]}'
    assert sentence({"type": "dev.sentinel.novel.thing"}) == "novel.thing"


def test_escapes_that_somebody_wrote_into_the_file_are_shown():
    told = sentence({"type": "dev.sentinel.agent.stopped", "data": {"why": "\x1b[2J\n"}})
    assert told == "Sentinel stopped: \\x1b[2J\\x0a"
    assert sentence({"type": "\x1b[2J", "data": {"\n": "\u202e"}}).isprintable()


@pytest.mark.parametrize(
    ("thing", "key", "value"),
    [
        (Terminate(CLAUDE, (condemned(8),), 2.0), "grace", "long"),
        (Terminate(CLAUDE, (condemned(8),), 2.0), "targets", [{"name": "", "id": 8}]),
        (Terminate(CLAUDE, (condemned(8),), 2.0), "targets", []),
        (cleaned(Result.ENDED), "duration", 10**400),
        (cleaned(Result.ENDED), "outcomes", None),
        (judged(), "death", {"at": 1, "status": "9"}),
        (judged(), "session", "claude"),
        (judged(), "processes", [{}]),
    ],
)
def test_data_of_a_wrong_kind_is_told_as_it_is(thing, key, value):
    sample = record(thing)
    sample["data"][key] = value
    assert sentence(sample)
    assert isinstance(details(sample), list)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_a_damaged_record_is_told_all_the_same(data):
    sample = record(data.draw(st.sampled_from([thing for thing, _ in SAMPLES])))
    node, parent, key = sample["data"], sample, "data"
    while isinstance(node, (dict, list)) and node and data.draw(st.booleans()):
        parent, key = node, data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        node = parent[key]
    if isinstance(parent, dict) and data.draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = data.draw(anything)
    assert "\n" not in sentence(sample)
    assert all("\n" not in line for line in details(sample))


@given(st.dictionaries(st.sampled_from(["type", "data", "seq"]), anything))
def test_anything_is_told(sample):
    assert isinstance(sentence(sample), str)
    assert isinstance(details(sample), list)


def test_what_became_of_an_intent_in_detail():
    left = (Left("8@1", "node", "gone"), Left("/p/a.sock", "", "there"))
    assert details(record(events.IntentAbandoned("p1-7@9", 4, left))) == ["pid 8 node: gone", "/p/a.sock: there"]
