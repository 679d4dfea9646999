"""A plan as it is shown; that it is carried out, tests/real/test_service.py says."""

from __future__ import annotations

import sys

from click.testing import CliRunner

from sentinel.cli.install import command, shown
from sentinel.errors import SentinelError
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


def test_where_nothing_can_be_written_nothing_is_installed_and_a_sentence_says_so(tmp_path, monkeypatch):
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "SENTINEL_CONFIG_DIR", "SENTINEL_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    # A checkout that lies where things are cleared away is refused before anything is written.
    monkeypatch.setattr("sentinel.cli.install.ours", lambda _: [sys.executable, "-P", "-m", "sentinel"])
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/state").symlink_to("/proc/self")  # where also root makes nothing
    done = CliRunner().invoke(command, ["--only", "shell", "--yes"])
    assert isinstance(done.exception, SentinelError)
    assert str(done.exception) == "~/.local/state/sentinel cannot be made: No such file or directory"
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [".local", ".local/state"]
