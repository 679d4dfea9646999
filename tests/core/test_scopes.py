from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId
from sentinel.core.scopes import is_a_panes, is_of, name_for, stands_in

PANE = "/user.slice/user-1000.slice/user@1000.service/tmux-spawn-0c1f2e3d-1111-2222-3333-444455556666.scope"


@pytest.mark.parametrize(
    ("cgroup", "so"),
    [
        (PANE, True),
        (f"{PANE}/inner", False),
        ("/user.slice/session-2.scope", False),
        ("/tmux-spawn-mine.scope", False),
        (PANE.replace("tmux-spawn", "not-tmux-spawn"), False),
        (f"{PANE}x", False),
        ("/", False),
        ("", False),
    ],
)
def test_the_scope_of_a_pane_is_told_by_the_name_that_tmux_gives(cgroup, so):
    assert is_a_panes(cgroup) is so


def test_the_group_of_a_command_is_named_with_the_identity_of_its_wrapper():
    wrapper = ProcessId(4231, 99881)
    group = f"/user.slice/{name_for(wrapper)}"
    assert is_of(wrapper, group)
    assert not is_of(ProcessId(4231, 99882), group)
    assert not is_of(ProcessId(423, 199881), group)
    assert not is_of(wrapper, f"{group}/inner")


@pytest.mark.parametrize(
    ("cgroup", "so"),
    [
        (PANE, True),
        (f"{PANE}/workers/1", True),
        (f"{PANE}/run-1234.scope", False),
        (f"{PANE}/mine.service/worker", False),
        (f"{PANE}/sentinel-run-5-7", False),
        (f"{PANE}-2", False),
        ("/", False),
        ("", False),
    ],
)
def test_a_process_stands_where_it_stands(cgroup, so):
    assert stands_in(cgroup, PANE) is so
