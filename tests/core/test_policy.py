from __future__ import annotations

import pytest

from sentinel.core.policy import Daemons, KindPolicy, Mode, Policy, Project, Survivors
from sentinel.core.sessions import Kind


@pytest.mark.parametrize("kind", Kind)
def test_by_default_what_is_lost_is_ended_and_daemons_are_spared(kind):
    wishes = Policy().of(kind)
    assert wishes.survivors is Survivors.END
    assert wishes.daemons is Daemons.SPARE
    assert wishes.grace > 0


def test_only_a_pane_that_was_left_in_good_order_keeps_its_jobs():
    kept = {kind for kind in Kind if Policy().of(kind).after_exit is Survivors.REPORT}
    assert kept == {Kind.PANE}


def test_sentinel_acts_unless_it_is_told_not_to():
    assert Policy().mode is Mode.ACT


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("held", ["", "you paused it"])
def test_nothing_is_done_in_observe_mode_or_while_it_is_held(mode, held):
    policy = Policy(mode=mode, held=held)
    assert policy.acts is (mode is Mode.ACT and not held)
    assert policy.why_not == (held or ("" if policy.acts else 'the configuration says mode = "observe"'))


def test_the_innermost_project_that_holds_a_directory_says_what_is_wished_there():
    def project(path, grace):
        return Project(path, dict.fromkeys(Kind, KindPolicy(grace=grace)))

    policy = Policy(projects=(project("/home/u/shop/api", 7.0), project("/home/u/shop", 8.0), project("/srv/", 9.0)))
    graces = {"/home/u/shop": 8.0, "/home/u/shop/web": 8.0, "/home/u/shop/api/v1": 7.0, "/srv/x": 9.0}
    assert {place: policy.of(Kind.RUN, place).grace for place in graces} == graces
    for elsewhere in ("", "/", "/home/u", "/home/u/shopping", "/srvx"):
        assert policy.of(Kind.RUN, elsewhere) is policy.kinds[Kind.RUN]
