from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.facts import ProcessId
from sentinel.core.plan import deepest_first, plan_processes
from sentinel.core.policy import KindPolicy, Mode, Policy
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Absent, Condemned, Spared
from tests.core.cases import TARGET, facts, session


def condemned(pid, parent, start=1):
    return Condemned(ProcessId(pid, start), facts(id=ProcessId(pid, start), parent=parent), ())


def order(*verdicts):
    return [verdict.id.pid for verdict in deepest_first(list(verdicts))]


def test_children_come_before_their_parents():
    assert order(condemned(1, 0), condemned(2, 1), condemned(3, 2), condemned(4, 1)) == [3, 4, 2, 1]


def test_of_the_same_depth_the_youngest_comes_first():
    assert order(condemned(5, 1, start=7), condemned(6, 1, start=9), condemned(7, 1, start=8)) == [6, 7, 5]


@given(st.dictionaries(st.integers(2, 12), st.integers(1, 12), max_size=11))
def test_any_tree_and_any_circle_comes_to_an_end_with_everybody_in_it(parents):
    pids = order(*(condemned(pid, parent) for pid, parent in parents.items()))
    assert sorted(pids) == sorted(parents)


def test_only_the_condemned_are_targets():
    verdicts = [condemned(2, 1), Spared(TARGET, "stopped", "it is stopped"), Absent(ProcessId(9, 9))]
    action = plan_processes(session(), verdicts, Policy())
    assert [target.id.pid for target in action.targets] == [2]
    assert action.session == session()


def test_nothing_to_do_is_no_action():
    assert plan_processes(session(), [Absent(TARGET)], Policy()) is None


def test_in_observe_mode_nothing_is_planned():
    assert plan_processes(session(), [condemned(2, 1)], Policy(mode=Mode.OBSERVE)) is None


def test_the_grace_is_that_of_the_kind_or_none():
    policy = Policy(kinds={kind: KindPolicy(grace=3.0 if kind is Kind.RUN else 9.0) for kind in Kind})
    assert plan_processes(session(), [condemned(2, 1)], policy).grace == 3.0
    assert plan_processes(session(), [condemned(2, 1)], policy, without_grace=True).grace == 0.0


def test_a_pipeline_does_not_wait_for_longer_than_half_a_second():
    pipeline = replace(session(), unattended=True)
    assert plan_processes(pipeline, [condemned(2, 1)], Policy()).grace == 0.5
    brief = Policy(kinds=dict.fromkeys(Kind, KindPolicy(grace=0.1)))
    assert plan_processes(pipeline, [condemned(2, 1)], brief).grace == 0.1


def test_a_long_line_of_parents_is_ended_from_its_end_however_old_that_is():
    line = [condemned(pid, pid - 1, start=20 - pid) for pid in range(2, 12)]
    assert order(*line) == list(range(11, 1, -1))


@pytest.mark.parametrize(("wish", "grace"), [(3.0, 0.5), (0.5, 0.5), (0.1, 0.1)])
def test_where_nobody_sits_the_grace_is_short(wish, grace):
    policy = Policy(kinds={kind: KindPolicy(grace=wish) for kind in Kind})
    assert plan_processes(session(unattended=True), [condemned(2, 1)], policy).grace == grace
