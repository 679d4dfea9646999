"""A plan as it is shown; that it is carried out, tests/real/test_service.py says."""

from __future__ import annotations

from sentinel.cli.install import shown
from sentinel.integrations.plan import Change

SERVICE = Change(["write ~/x.service", "run systemctl"], lambda: None)
HOOKS = Change(
    ["~/.claude/settings.json", "@@ -1 +1 @@", "+a", "+\x1b[2J"], lambda: None, brief=["change ~/.claude: 2 lines"]
)


def test_a_plan_is_a_line_a_file_and_says_how_to_see_each_line():
    assert list(shown([("service", SERVICE), ("claude", HOOKS)], "Sentinel would:", diff=False)) == [
        "Sentinel would:",
        "  service:",
        "    write ~/x.service",
        "    run systemctl",
        "  claude:",
        "    change ~/.claude: 2 lines",
        "  (--diff shows each line of it)",
    ]


def test_with_diff_each_line_is_shown_and_harmless():
    assert list(shown([("claude", HOOKS)], "Sentinel will:", diff=True)) == [
        "Sentinel will:",
        "  claude:",
        "    ~/.claude/settings.json",
        "    @@ -1 +1 @@",
        "    +a",
        "    +\\x1b[2J",
    ]


def test_where_there_is_no_more_to_see_nothing_is_said_of_it():
    assert list(shown([("service", SERVICE)], "Sentinel will:", diff=False))[-1] == "    run systemctl"
