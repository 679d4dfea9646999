from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from sentinel.service import systemd

COMMAND = ["/home/me/.venv/bin/python", "-m", "sentinel"]


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_unit_runs_the_command_that_was_given():
    assert "ExecStart=/home/me/.venv/bin/python -m sentinel agent --quiet" in lines(systemd.unit(COMMAND))


def test_no_word_is_taken_for_a_variable():
    assert 'ExecStart="/a/$b" "$$HOME" agent --quiet' in lines(systemd.unit(["/a/$b", "$HOME"]))


def test_each_group_of_lines_is_commented():
    blocks = systemd.unit(COMMAND).split("[Service]\n")[1].split("[Install]")[0]
    before = ""
    for line in blocks.splitlines():
        if line.startswith(("Type", "ExecReload", "Restart=", "WatchdogSec", "TimeoutStopSec", "KillMode", "UMask")):
            assert before.startswith("#"), line
        before = line


def test_nothing_of_the_users_dies_with_it():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(systemd.unit(COMMAND))
    assert parser["Service"]["KillMode"] == "process"
    assert parser["Service"]["Restart"] == "on-failure"
    assert parser["Service"]["WatchdogSec"] == "60"
    assert "PrivateUsers" not in parser["Service"]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/python3.11", "/usr/bin/python3.11"),
        ("/home/me/my tools/python", '"/home/me/my tools/python"'),
        ("50%", "50%%"),
        ("$HOME", '"$HOME"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("", '""'),
        ("a;b", '"a;b"'),
        ("é", '"é"'),
    ],
)
def test_a_word_is_quoted_as_systemd_reads_it(word, written):
    assert systemd.quote(word) == written


@pytest.mark.parametrize("command", [[], ["python3"], ["/a\nExecStart=/bin/sh"], ["/a", "\x1b"]])
def test_what_systemd_could_not_run_is_refused(command):
    with pytest.raises(ValueError, match="a unit"):
        systemd.unit(command)


def test_systemd_itself_finds_no_fault(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("missing: systemd-analyze (Debian: systemd)")
    strange = tmp_path / "my 100% tools" / "py$thon"
    strange.parent.mkdir()
    strange.symlink_to("/bin/true")
    file = tmp_path / systemd.UNIT
    file.write_text(systemd.unit([str(strange), "-m", "sentinel"]))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if systemd.UNIT in line or str(strange.parent) in line]
    assert (done.returncode, ours) == (0, [])


def test_where_it_lies():
    assert systemd.place({}, Path("/home/me")) == Path("/home/me/.config/systemd/user/sentinel.service")
    assert systemd.place({"XDG_CONFIG_HOME": "/c"}, Path("/home/me")) == Path("/c/systemd/user/sentinel.service")
    assert systemd.place({"XDG_CONFIG_HOME": "c"}, Path("/h")) == Path("/h/.config/systemd/user/sentinel.service")


def test_what_the_manager_says():
    said = systemd.properties("ActiveState=active\nStatusText=watching 7 = all\n\nnonsense\nMainPID=42\n")
    assert said == {"ActiveState": "active", "StatusText": "watching 7 = all", "MainPID": "42"}
