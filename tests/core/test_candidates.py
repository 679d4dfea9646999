"""Whose it may have been: one strong candidate, changed by one thing at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.candidates import Mark, Sighting, Surmise, grade, lost
from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.verdicts import Grade

AGENT, SERVER, LEADER, MANAGER = 100, 110, 120, 130
DEV = ProcessId(200, 5000)
CLAUDE_PID = Mark("CLAUDE_PID", "100", "claude", AGENT)
TMUX = Mark("TMUX", "/run/tmux-1/default,110,0", "the tmux server", SERVER)
CONVERSATION = Mark("CLAUDE_CODE_SESSION_ID", "c0ffee", "claude")
SILENT = Unknown("the environment of process 200", "it was shut")
PIPES = Stdio(terminal=False, pipe=True)
HUNG_UP = Stdio(terminal=True, pipe=False)


def facts(who=DEV, **changes):
    seen = ProcessFacts(who, parent=1, group=LEADER, session=LEADER, terminal=0, state="S", name="node", uid=1000)
    return replace(seen, **changes)


def sighting(who=DEV, marks=(CLAUDE_PID,), stdio=PIPES, parent_session=None, agent="", **changes):
    return Sighting(facts(who, **changes), marks, parent_session, stdio, agent)


def holder(pid, start=1, *, dead=False, name="sh"):
    return Above(ProcessId(pid, start), 1, name, dead)


def surmise(holders=None, **changes):
    gone = dict.fromkeys((AGENT, SERVER, LEADER), Gone())
    return Surmise(holders={**gone, **(holders or {})}, **changes)


def graded(*sightings, known=None):
    found = grade({one.facts.id.pid: one for one in sightings}, known or surmise())
    return {who.pid: candidate for who, candidate in found.items()}


def the(*sightings, known=None):
    return graded(*sightings, known=known)[DEV.pid]


def test_a_mark_that_names_the_dead_and_a_lost_parent_are_strong():
    found = the(sighting())
    assert (found.grade, found.doubts) == (Grade.STRONG, ())
    assert found.evidence == (
        "CLAUDE_PID in its environment names claude (pid 100), which has ended",
        "its parent has ended, and init has it now",
    )


def test_neither_witness_is_enough_alone():
    assert graded(sighting(marks=())) == {}
    assert graded(sighting(parent=150)) == {}


def test_nobody_is_ever_proven_by_witnesses():
    assert {found.grade for found in graded(sighting(), sighting(ProcessId(201, 5001), parent=200)).values()} == {
        Grade.STRONG
    }


WEAK = {
    "its server lives": (
        sighting(marks=(CLAUDE_PID, TMUX)),
        {SERVER: holder(SERVER)},
        "names process 110, which lives",
    ),
    "the agent lives": (sighting(), {AGENT: holder(AGENT)}, "names process 100, which lives"),
    "the number was taken before it was born": (sighting(), {AGENT: holder(AGENT, DEV.start)}, "which lives"),
    "nobody could tell": (sighting(), {AGENT: Unknown("who", "EIO")}, "nobody could tell whether claude"),
    "nobody looked": (sighting(marks=(replace(CLAUDE_PID, pid=999),)), {}, "nobody could tell whether claude"),
    "its environment is shut": (sighting(marks=SILENT), {}, "it was shut"),
    "nobody could tell whether it may be a daemon": (
        sighting(stdio=Unknown("where the input and output of process 200 lead", "EIO")),
        {},
        "where the input and output of process 200 lead",
    ),
    "its session is led": (sighting(), {LEADER: holder(LEADER)}, "process 120 (sh), which leads its session"),
    "nobody knows who leads": (sighting(), {LEADER: Unknown("who", "EIO")}, "whether process 120, which leads"),
    "it is an agent that may be at work": (sighting(agent="claude"), {}, "may be at work without a terminal"),
    "it may be a daemon": (
        sighting(session=DEV.pid, stdio=Stdio(terminal=False, pipe=False)),
        {},
        "it may be a daemon on purpose",
    ),
}


@pytest.mark.parametrize("what", WEAK)
def test_whatever_contradicts_makes_it_weak(what):
    seen, holders, doubt = WEAK[what]
    found = the(seen, known=surmise(holders))
    assert found.grade is Grade.WEAK
    assert any(doubt in said for said in found.doubts)


def test_a_number_that_was_taken_in_the_tick_of_its_birth_names_the_living_alone():
    found = the(sighting(), known=surmise({AGENT: holder(AGENT, DEV.start)}))
    assert not any("CLAUDE_PID" in said for said in found.evidence)


def test_a_number_that_came_to_another_one_later_names_the_dead():
    later = {AGENT: holder(AGENT, DEV.start + 1)}
    found = the(sighting(), known=surmise(later))
    assert found.grade is Grade.STRONG
    assert "a number that another process has had since" in found.evidence[0]


def test_a_zombie_is_dead_as_owner_and_as_leader():
    dead = {AGENT: holder(AGENT, dead=True), LEADER: holder(LEADER, dead=True)}
    assert the(sighting(), known=surmise(dead)).grade is Grade.STRONG


def test_what_is_older_than_its_owner_was_never_its():
    known = surmise(owners={AGENT: ProcessId(AGENT, DEV.start + 1)})
    assert the(sighting(), known=known).grade is Grade.WEAK
    for not_older in (DEV.start, DEV.start - 1):
        known = surmise(owners={AGENT: ProcessId(AGENT, not_older)})
        assert the(sighting(), known=known).grade is Grade.STRONG


def test_a_conversation_proves_nothing_and_contradicts_when_somebody_goes_on_with_it():
    alone = the(sighting(marks=(CONVERSATION,)))
    assert alone.grade is Grade.WEAK
    assert alone.evidence[-1] == "CLAUDE_CODE_SESSION_ID in its environment says that claude was above it"
    resumed = surmise(in_use=frozenset({(CONVERSATION.variable, CONVERSATION.value)}))
    assert the(sighting(marks=(CLAUDE_PID, CONVERSATION))).grade is Grade.STRONG
    assert the(sighting(marks=(CLAUDE_PID, CONVERSATION)), known=resumed).grade is Grade.WEAK


NOTHING = Stdio(terminal=False, pipe=False)


def test_mercy_what_holds_nothing_in_a_session_that_nobody_knows_may_be_the_last_of_a_double_fork():
    assert the(sighting(stdio=Stdio(terminal=False, pipe=True))).grade is Grade.STRONG
    found = the(sighting(stdio=NOTHING))
    assert (found.grade, found.doubts) == (Grade.WEAK, ())
    assert "nobody knows who made its session (setsid)" in found.evidence[-1]


def test_who_leads_a_session_has_made_it():
    found = the(sighting(session=DEV.pid, stdio=Stdio(terminal=False, pipe=False)))
    assert "nobody knows who made its session" not in " ".join(found.evidence)
    assert found.doubts == (
        "it leads a session of its own and holds no terminal or pipe: it may be a daemon on purpose",
    )


def test_what_holds_nothing_in_the_session_of_one_who_has_ended_may_be_lost():
    assert the(sighting(session=AGENT, stdio=NOTHING)).grade is Grade.STRONG
    known = surmise(owners={LEADER: ProcessId(LEADER, 1)})
    assert the(sighting(stdio=NOTHING), known=known).grade is Grade.STRONG


def test_a_daemon_that_holds_a_pipe_may_be_lost():
    assert the(sighting(session=DEV.pid)).grade is Grade.STRONG


# -- who lost its parent --------------------------------------------------------------------


def test_a_users_manager_adopts_like_init():
    seen = sighting(parent=MANAGER)
    assert graded(seen) == {}
    assert the(seen, known=surmise(managers=frozenset({MANAGER}))).grade is Grade.STRONG


def test_a_subreaper_is_known_by_a_session_that_it_was_never_in():
    """Who leads no session was born in the one it has, and so was all that it bore."""
    seen = sighting(parent=150, parent_session=160)
    assert "process 150, which has it now, was never in its session" in lost(seen, frozenset())
    assert the(seen).grade is Grade.STRONG


@pytest.mark.parametrize(
    "seen",
    [
        sighting(parent=150, parent_session=LEADER),
        sighting(parent=150, parent_session=None),
        sighting(parent=150, parent_session=160, session=DEV.pid),
    ],
    ids=["in its parent's session", "its parent leads one", "it made its own"],
)
def test_a_parent_that_may_have_borne_it_has_not_adopted_it(seen):
    assert lost(seen, frozenset()) == ""


# -- what hangs under it --------------------------------------------------------------------

CHILD = ProcessId(201, 5001)


def test_what_hangs_under_a_candidate_is_one_of_the_same_grade():
    found = graded(sighting(), sighting(CHILD, marks=(), parent=DEV.pid))
    assert found[CHILD.pid].grade is Grade.STRONG
    assert "it hangs under process 200" in found[CHILD.pid].evidence[0]
    weak = graded(sighting(marks=(CONVERSATION,)), sighting(CHILD, parent=DEV.pid))
    assert weak[CHILD.pid].grade is Grade.WEAK


def test_what_hangs_under_a_candidate_can_be_somebody_elses():
    found = graded(sighting(), sighting(CHILD, marks=(TMUX,), parent=DEV.pid), known=surmise({SERVER: holder(SERVER)}))
    assert (found[DEV.pid].grade, found[CHILD.pid].grade) == (Grade.STRONG, Grade.WEAK)


def test_a_doubt_about_one_goes_down_to_what_hangs_under_it():
    led = surmise({LEADER: holder(LEADER)})
    found = graded(sighting(), sighting(CHILD, parent=DEV.pid, session=CHILD.pid), known=led)
    assert {one.grade for one in found.values()} == {Grade.WEAK}


def test_an_agent_that_was_left_behind_may_be_named_by_what_it_bore():
    agent = sighting(ProcessId(AGENT, 4000), marks=(TMUX,), agent="claude", stdio=HUNG_UP)
    tool = sighting(parent=AGENT)
    known = surmise({AGENT: holder(AGENT, 4000)})
    found = graded(agent, tool, known=known)
    assert {one.grade for one in found.values()} == {Grade.STRONG}
    alone = graded(replace(agent, marks=()), tool, known=known)
    assert {one.grade for one in alone.values()} == {Grade.WEAK}


def test_a_leader_that_was_left_behind_is_no_sign_of_life():
    shell = sighting(ProcessId(LEADER, 4000))
    known = surmise({LEADER: holder(LEADER, 4000)})
    assert {one.grade for one in graded(shell, sighting(), known=known).values()} == {Grade.STRONG}


def test_mercy_who_is_not_sure_to_have_been_left_behind_is_a_sign_of_life():
    agent = sighting(ProcessId(AGENT, 4000), marks=(CONVERSATION,), agent="claude", stdio=HUNG_UP)
    beside = sighting()  # it does not hang under that agent, which lives, and which its mark names
    found = graded(agent, beside, known=surmise({AGENT: holder(AGENT, 4000)}))
    assert found[AGENT].grade is Grade.WEAK
    assert any("names process 100, which lives" in said for said in found[DEV.pid].doubts)


def test_whoever_was_left_behind_by_one_that_was_left_behind_itself_may_be_named():
    shell = sighting(ProcessId(LEADER, 3000))
    agent = sighting(ProcessId(AGENT, 4000), marks=(TMUX,), agent="claude", stdio=HUNG_UP)
    known = surmise({LEADER: holder(LEADER, 3000), AGENT: holder(AGENT, 4000)})
    found = graded(shell, agent, sighting(), known=known)
    assert {one.grade for one in found.values()} == {Grade.STRONG}


def test_a_leader_outside_of_this_pid_namespace_is_nobody():
    assert the(sighting(session=0)).grade is Grade.STRONG


def test_only_a_weak_one_is_not_offered_unasked():
    offered = {it for it in Grade if replace(the(sighting()), grade=it).is_strong}
    assert offered == set(Grade) - {Grade.WEAK}


def test_a_circle_that_a_torn_look_shows_has_an_end():
    circle = (sighting(), sighting(CHILD, parent=300), sighting(ProcessId(300, 5002), parent=CHILD.pid))
    assert set(graded(*circle)) == {DEV.pid}
    top = (sighting(), sighting(CHILD, parent=DEV.pid), sighting(ProcessId(300, 5002), parent=CHILD.pid))
    assert len(graded(*top)) == len(top)


# -- weak signs -----------------------------------------------------------------------------


def test_a_closed_terminal_and_an_agent_above_nobody_are_signs():
    hung_up = the(sighting(marks=(), stdio=HUNG_UP))
    assert (hung_up.grade, hung_up.evidence[-1]) == (Grade.WEAK, "the terminal that it holds has been closed")
    assert graded(sighting(marks=(), stdio=HUNG_UP, terminal=34816)) == {}
    agent = the(sighting(marks=(), agent="claude"))
    assert (agent.grade, agent.evidence[-1]) == (Grade.WEAK, "it is the coding agent claude, and nobody is above it")


def test_a_mark_that_names_itself_says_nothing():
    own = sighting(marks=(replace(CLAUDE_PID, pid=DEV.pid), TMUX))
    assert the(own).grade is Grade.STRONG
