"""Guards at their edges: what is missing, what is just enough, and the words in which they say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core import consent
from sentinel.core.facts import Death, Departure, Gone, Stdio, Surroundings, Unknown
from sentinel.core.guards import GUARDS, no_kill, wants_birth, wants_stdio
from sentinel.core.guards import case as asked
from sentinel.core.guards.around import serving, unit, unreadable
from sentinel.core.guards.known import build_daemon
from sentinel.core.guards.living import inner_session
from sentinel.core.guards.programs import EDITOR_SERVERS, USER_SERVICES, Programs
from sentinel.core.guards.whose import next_generation
from sentinel.core.guards.wishes import disowned, policy_reports
from sentinel.core.judge import judge
from sentinel.core.ledger import Witness
from sentinel.core.policy import KindPolicy, Survivors
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Condemned, Spared
from tests.core.cases import DIED, NOTHING, ROOT, TARGET, case, facts, member, session, world
from tests.core.test_guards import FOUNDLING, INNER, INSIDE, PIPE, SERVER, TERMINAL, left

REPORTED_AFTER_EXIT = KindPolicy(after_exit=Survivors.REPORT)


# -- around ------------------------------------------------------------------------------


def test_where_a_session_is_not_known_no_unit_is_another_one():
    assert unit(case(session=None, surroundings=Surroundings(cgroup="/a/web.service"))) is None


def test_to_be_in_no_unit_is_no_unit_of_its_own():
    root = session(cgroup="/system.slice/ci.service")
    assert isinstance(judge(case(session=root, surroundings=Surroundings(cgroup="/user.slice"))), Condemned)


def test_nobody_has_to_look_at_what_is_gone():
    assert unreadable(case(facts=Gone(), surroundings=None)) is None


@pytest.mark.parametrize(
    ("clients", "said"),
    [(("a browser",), "it serves a browser"), (("a", "b", "c"), "it serves a and 2 more")],
)
def test_whom_it_serves_is_named(clients, said):
    assert serving(case(surroundings=Surroundings(clients=clients))) == said


# -- what is asked for -------------------------------------------------------------------


def test_nobody_is_a_group_that_no_process_can_be_in():
    assert asked.NOBODY < 0


def test_input_and_output_of_who_ran_nohup_and_of_a_daemon_by_name_are_asked_for():
    assert wants_stdio(member(nohup=True), facts())
    assert wants_stdio(None, facts(name="turbo"))


@pytest.mark.parametrize("witness", Witness)
def test_the_birth_is_asked_of_whom_nobody_saw_under_its_parent(witness):
    assert wants_birth(member(witness=witness)) is (witness not in {Witness.FORK, Witness.LOOK})


@pytest.mark.parametrize("witness", [Witness.FORK, Witness.LOOK])
def test_whose_descent_was_seen_is_of_no_next_generation(witness):
    assert next_generation(case(member=member(witness=witness), born=DIED + 1)) is None


def test_one_born_in_the_very_moment_of_the_death_is_of_this_generation():
    named = member(witness=Witness.CHILD)
    assert next_generation(case(member=named, born=DIED)) is None
    assert next_generation(case(member=named, born=DIED + 0.01)) is not None


@pytest.mark.parametrize("death", [None, Unknown("how it ended", "a test says so")])
def test_where_nobody_has_died_there_is_no_next_generation(death):
    assert next_generation(case(member=member(witness=Witness.SCOPE), born=DIED + 1, death=death)) is None


def test_a_foundling_of_no_session_is_in_none():
    assert inner_session(case(member=FOUNDLING, session=None, world=INSIDE)) is None


# -- programs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "program", "why"),
    [
        ("postgres", "", "postgres is a database"),
        ("a-title", "/usr/lib/postgresql/16/bin/postgres", "a-title is a database"),
        ("git", "", "git may be in the middle of writing"),
        ("npm install", "/usr/bin/node", "npm install may be in the middle of writing"),
        ("node", "/usr/bin/node", ""),
    ],
)
def test_who_may_be_asked_to_end_and_no_more(name, program, why):
    said = no_kill(case(facts=facts(name=name), surroundings=Surroundings(program=program)))
    assert said.startswith(why)
    assert bool(said) is bool(why)


@pytest.mark.parametrize("looked", [Gone(), Unknown("what it is", "a test says so")])
def test_of_whom_nothing_was_seen_nothing_is_known(looked):
    assert no_kill(case(facts=looked)) == ""


@pytest.mark.parametrize(
    ("stdio", "leads", "spoken"),
    [
        (NOTHING, True, True),
        (NOTHING, False, False),
        (TERMINAL, True, False),
        (PIPE, True, False),
        (Stdio(terminal=True, pipe=True), True, False),
        (None, True, False),
        (Unknown("where it leads", "a test says so"), True, False),
    ],
)
def test_turbos_daemon_has_a_session_and_no_input_or_output(stdio, leads, spoken):
    it = facts(name="turbo", session=TARGET.pid if leads else 90)
    assert (build_daemon(case(facts=it, stdio=stdio)) is not None) is spoken


def test_long_names_are_compared_as_the_kernel_cuts_them():
    assert USER_SERVICES.hold("gnome-keyring-d", "")
    assert USER_SERVICES.hold("x", "/usr/bin/gnome-keyring-daemon")
    assert not USER_SERVICES.hold("gnome-keyring-da", "")
    assert not Programs(beginnings=("gvfs",)).hold("", "")
    assert EDITOR_SERVERS.hold("node", "/home/u/.vscode-server/bin/node")


# -- wishes ------------------------------------------------------------------------------


def test_a_job_whose_parent_left_in_order_was_disowned_and_one_whose_parent_was_killed_was_not():
    job = case(session=session(Kind.PANE), facts=facts(session=ROOT.pid), death=Death(DIED, 1))
    assert disowned(replace(job, member=left())) is not None
    assert disowned(replace(job, member=left(clean=False))) is None
    assert disowned(replace(job, member=member(left=Departure(DIED - 9, None)))) is not None


def test_a_wish_for_a_report_is_one_about_the_dead():
    assert policy_reports(case(policy=KindPolicy(survivors=Survivors.REPORT), death=None)) is None
    assert policy_reports(case(policy=KindPolicy(survivors=Survivors.REPORT))) is not None


def test_only_of_a_pane_may_any_exit_be_in_good_order():
    ended = {"policy": REPORTED_AFTER_EXIT, "death": Death(DIED, 1 << 8), "world": world(roots={SERVER: INNER})}
    assert policy_reports(case(session=session(Kind.PANE, outer=INNER.key), **ended)) is not None
    assert policy_reports(case(session=session(Kind.AGENT, outer=INNER.key), **ended)) is None


# -- consent -----------------------------------------------------------------------------


def test_a_yes_to_a_list_is_the_rule():
    by_nohup = case(facts=facts(hangup_ignored=True))
    assert isinstance(consent.mercy_after_a_yes(by_nohup, GUARDS), Spared)


def test_what_stopping_a_project_overrides():
    assert {"serving"} == consent.BY_STOPPING - consent.BY_NAMING
    assert {"build-daemon"} == consent.BY_NAMING - consent.BY_STOPPING
    assert {"nohup", "daemonised", "disowned"} == consent.MEANT_TO_STAY < consent.BY_STOPPING
    assert {"live-pane", "adopted"} == consent.BY_STOPPING_ITS_OWN - consent.BY_STOPPING
    assert consent.BY_STOPPING < consent.BY_STOPPING_ITS_OWN


def test_what_a_yes_to_the_end_of_everything_overrides():
    living = {"owner-alive", "living-session", "inner-session", "tmux-server"}
    assert living == consent.BY_A_YES_TO_ALL - consent.BY_STOPPING_ITS_OWN
    assert consent.BY_STOPPING_ITS_OWN < consent.BY_A_YES_TO_ALL
