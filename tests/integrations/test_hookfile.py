"""Hooks in users' own settings: what others wrote stays, and nothing of ours does."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.errors import SentinelError
from sentinel.integrations import userfile
from sentinel.integrations.claude import integration as claude
from sentinel.integrations.codex import integration as codex
from sentinel.integrations.hookfile import EVENTS
from sentinel.integrations.plan import Host

WORDS = ("/opt/my tools/python", "-P", "-m", "sentinel")
OTHERS = """{
    "model":   "opus",
    "hooks": {"Stop": [ {"matcher": "", "hooks": []} ]}
}
"""


@pytest.fixture
def host(tmp_path):
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".codex").mkdir()
    return Host(tmp_path, tmp_path / "state", {})


@pytest.fixture
def file(host):
    return host.home / ".claude" / "settings.json"


def install(host, words=WORDS):
    change = claude.install(host, words)
    change.make()
    return change


def uninstall(host):
    claude.uninstall(host).make()


def tree(host):
    """Every file below the home, with its content and mode."""
    return {
        path.relative_to(host.home): (path.is_file() and path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in host.home.rglob("*")
    }


def test_each_event_has_an_entry_that_the_agent_would_run(host, file):
    change = install(host)
    hooks = json.loads(file.read_text())["hooks"]
    assert set(hooks) == set(EVENTS)
    for event in EVENTS:
        assert hooks[event][0]["hooks"][0]["command"].endswith(f"sentinel hook claude {event} || :")
    assert change.lines[0] == "~/.claude/settings.json"
    assert any("hook claude Stop" in line for line in change.lines)
    added = sum(line.startswith("+") for line in change.lines)
    assert change.brief == [f"make ~/.claude/settings.json: {added} lines added"]


def test_in_brief_a_change_is_one_line(host, file):
    file.write_text('{\n  "theme": "dark"\n}\n')
    change = claude.install(host, WORDS)
    added = sum(line.startswith("+") for line in change.lines)
    removed = sum(line.startswith("-") for line in change.lines)
    assert removed == 1  # the line before ours needs a comma
    assert change.brief == [f"change ~/.claude/settings.json: {added} lines added and 1 line removed"]
    change.make()
    (line,) = claude.uninstall(host).brief
    assert line == f"change ~/.claude/settings.json: 1 line added and {added} lines removed"
    file.unlink()
    install(host)
    (line,) = claude.uninstall(host).brief
    assert line.startswith("remove ~/.claude/settings.json: ")


def test_nothing_is_written_before_it_is_asked_for(host):
    before = tree(host)
    claude.install(host, WORDS)
    assert tree(host) == before


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{}",
        "{}\n",
        "{ }",
        '{"hooks": {}}',
        '{"hooks": {"Stop": []}}',
        '{"a": 1}',
        OTHERS,
        '\r\n{\r\n"a":1}\r\n',
    ],
)
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_what_was_installed_can_be_taken_out_without_a_trace(host, file, text, mode):
    if text is not None:
        file.write_bytes(text.encode())
        file.chmod(mode)
    host.state.mkdir(0o700)
    before = tree(host)
    install(host)
    assert text is None or stat.S_IMODE(file.stat().st_mode) == mode
    uninstall(host)
    assert tree(host) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(st.fixed_dictionaries({"hooks": st.lists(JSON, max_size=2)}) | JSON, max_size=3)
HOOKS = st.dictionaries(st.sampled_from([*EVENTS, "PreToolUse"]), ENTRIES, max_size=3)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.text(max_size=4).filter(lambda key: key != "hooks"), JSON),
    HOOKS,
    st.sampled_from([None, 1, 2, "\t"]),
)
def test_any_settings_come_back_to_the_byte(host, file, others, hooks, indent):
    before = json.dumps({**others, "hooks": hooks}, indent=indent)
    file.write_text(before)
    install(host)
    after = json.loads(file.read_text())
    assert {key: after[key] for key in others} == others
    for event, entries in hooks.items():
        assert after["hooks"][event][: len(entries)] == entries
    uninstall(host)
    assert file.read_text() == before


def test_installed_twice_is_installed_once(host, file):
    install(host)
    before = file.read_text()
    assert claude.install(host, WORDS) is None
    assert file.read_text() == before


@pytest.mark.parametrize("text", [None, "", "{}\n", '{"hooks": {}}', OTHERS])
def test_what_two_sentinels_installed_can_be_taken_out_without_a_trace(host, file, text):
    if text is not None:
        file.write_text(text)
    host.state.mkdir(0o700)
    before = tree(host)
    for words in (("/old/sentinel",), ("/older/sentinel",), WORDS):
        install(host, words)
    uninstall(host)
    assert tree(host) == before


def test_a_sentinel_that_has_moved_takes_the_place_of_the_old_one(host, file):
    file.write_text(OTHERS)
    install(host, ("/old/sentinel",))
    install(host)
    assert "/old" not in file.read_text()
    uninstall(host)
    assert file.read_text() == OTHERS


def test_what_was_changed_since_stays_and_ours_goes(host, file):
    install(host)
    settings = json.loads(file.read_text())
    settings["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "say done"}]})
    file.write_text(json.dumps(settings))
    uninstall(host)
    assert json.loads(file.read_text()) == {"hooks": {"Stop": [settings["hooks"]["Stop"][1]]}}


def test_hooks_that_only_look_like_ours_stay(host, file):
    hooks = ["my-sentinel hook codex Stop", "echo sentinel hooks", "sentinel hook claude StopFailure"]
    entries = [{"hooks": [{"type": "command", "command": command}]} for command in hooks]
    mixed = {"hooks": [{"command": "sentinel hook claude Stop"}, {"command": "say done"}]}
    file.write_text(json.dumps({"hooks": {"Stop": [*entries, mixed]}}))
    assert claude.uninstall(host) is None


def test_a_link_stays_a_link(host, file, tmp_path):
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "settings.json"
    real.write_text(OTHERS)
    file.symlink_to("../dotfiles/settings.json")
    install(host)
    assert file.is_symlink()
    assert "sentinel" in real.read_text()
    uninstall(host)
    assert (file.is_symlink(), real.read_text()) == (True, OTHERS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "~/.claude/settings.json was left as it is: line 1"),
        (b"[1]", "was left as it is: line 1: the whole is not an object"),
        (b'{\n"hooks": 7}', "was left as it is: line 2: hooks is not an object"),
        (b'{"hooks": {"Stop": {}}}', "hooks.Stop is not an array"),
        (b"\xff{}", "is not UTF-8 text"),
        (b" " * (1 << 20) + b"{}", "is larger than 1 MiB"),
    ],
    ids=["broken", "array", "number", "object", "latin", "large"],
)
def test_what_is_no_settings_file_is_left_as_it_is(host, file, content, why):
    file.write_bytes(content)
    with pytest.raises(SentinelError, match=why):
        claude.install(host, WORDS)
    assert file.read_bytes() == content


def test_places_where_nothing_can_be_written(host, file, tmp_path):
    file.symlink_to("nowhere")
    with pytest.raises(SentinelError, match="is a symbolic link to a file that is not there"):
        claude.install(host, WORDS)
    file.unlink()
    file.mkdir()
    with pytest.raises(SentinelError, match="is not a regular file"):
        claude.install(host, WORDS)
    with pytest.raises(SentinelError, match=r"there is no ~/nowhere/.claude: Claude Code has not run here yet"):
        claude.install(Host(tmp_path, host.state, {"CLAUDE_CONFIG_DIR": f"{tmp_path}/nowhere/.claude"}), WORDS)


def test_where_the_agent_never_ran_there_is_nothing_to_take_out(tmp_path):
    assert claude.uninstall(Host(tmp_path, tmp_path / "state", {})) is None


def test_a_read_only_file_is_left_as_it_is(host, file):
    file.write_text(OTHERS)
    file.chmod(0o444)
    change = claude.install(host, WORDS)
    with pytest.raises(SentinelError, match="is read-only; it was left as it is"):
        change.make()
    assert file.read_text() == OTHERS


def test_a_file_that_changes_between_look_and_deed_is_not_written_over(host, file):
    file.write_text(OTHERS)
    change = claude.install(host, WORDS)
    file.write_text("{}")
    with pytest.raises(SentinelError, match="was changed just now by somebody else; nothing was written"):
        change.make()
    assert file.read_text() == "{}"


KILLED = """
import os, signal, sys
from pathlib import Path
from sentinel.integrations.claude import integration
from sentinel.integrations.plan import Host

os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
home = Path(sys.argv[1])
getattr(integration, sys.argv[2])(Host(home, home / "state", {}), *sys.argv[3:] and [sys.argv[3:]]).make()
"""

KILLED_AT_THE_FILE = KILLED.replace(
    "lambda *_: os", "lambda *paths, real=os.replace: real(*paths) if 'settings' not in str(paths) else os"
)
"""What is kept of the file has been kept by then."""


def test_what_a_killed_one_left_beside_the_file_goes_with_the_next_that_writes_it(host, file, tmp_path):
    repository = tmp_path / "dotfiles"
    repository.mkdir()
    (repository / "settings.json").write_text(OTHERS)
    file.symlink_to(repository / "settings.json")
    before = tree(host)
    mark = userfile.mark()
    elsewhere = f"{mark.split('-')[0]}-1.sentinel"  # nobody has the number here: it is one of another pid namespace
    for others in (
        "settings.json.4194999.new",
        f"my-settings.json.4194999.{mark}",
        f"settings.json.{os.getppid()}.{mark}",
        f"settings.json.4194999.{elsewhere}",
    ):
        (repository / others).write_text("another's")
    for verb, words, again in (("install", WORDS, install), ("uninstall", (), uninstall)):
        there = set(os.listdir(repository))
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), verb, *words], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert len(set(os.listdir(repository)) - there) == 1
        again(host)
        assert set(os.listdir(repository)) == there
    assert before.items() <= tree(host).items()


@pytest.mark.parametrize("there", [None, "", "{}\n"])
def test_an_upgrade_that_is_killed_forgets_nothing_of_what_was_there_before(host, file, tmp_path, there):
    if there is not None:
        file.write_text(there)
    install(host, ("/old/sentinel", "-m", "sentinel"))
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_THE_FILE, str(tmp_path), "install", *WORDS], check=False)
    assert killed.returncode == -signal.SIGKILL
    install(host)
    uninstall(host)
    assert (file.read_text() if file.exists() else None) == there


def test_sentinels_state_directory_is_for_its_user_alone(host):
    old = os.umask(0o022)
    try:
        install(host)
    finally:
        os.umask(old)
    assert stat.S_IMODE(host.state.stat().st_mode) == 0o700


def test_the_agents_own_variable_says_where_its_settings_are(host, tmp_path):
    (tmp_path / "other").mkdir()
    there = Host(tmp_path, host.state, {"CLAUDE_CONFIG_DIR": str(tmp_path / "other")})
    install(there)
    assert (tmp_path / "other" / "settings.json").exists()
    assert claude.status(there).installed
    assert not claude.status(host).installed


def test_a_line_that_ends_well_whatever_becomes_of_sentinel(tmp_path):
    """As Claude Code 2.1.197 runs it: ``/bin/sh -c LINE``."""
    program = tmp_path / "my sentinel"
    line = claude.command("Stop", (str(program),))
    for script, said in ((None, ""), ("#!/bin/sh\necho $@", "hook claude Stop\n"), ("#!/bin/sh\nexit 3", "")):
        if script is not None:
            program.write_text(script)
            program.chmod(0o755)
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_how_it_stands(host, file):
    assert claude.status(host) == claude.status(host)
    assert (claude.status(host).installed, claude.status(host).why) == (False, "")
    install(host)
    assert (claude.status(host).installed, claude.status(host).trusted) == (True, True)
    hooks = json.loads(file.read_text())
    del hooks["hooks"]["Stop"]
    file.write_text(json.dumps(hooks))
    assert (claude.status(host).installed, claude.status(host).why) == (False, "nothing for Stop")


def test_codex_keeps_its_hooks_in_a_file_of_their_own(host):
    change = codex.install(host, WORDS)
    change.make()
    hooks = json.loads((host.home / ".codex" / "hooks.json").read_text())
    assert set(hooks) == {"hooks"}  # Codex refuses a file with anything else
    assert "/hooks" in change.hint
    assert not (host.home / ".codex" / "config.toml").exists()
