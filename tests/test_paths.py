from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel import paths
from sentinel.errors import SentinelError

NOBODY = 65534


def places(base: Path) -> paths.Paths:
    return paths.Paths(base / "config", base / "state", base / "run")


def test_overrides_stand_above_everything(tmp_path):
    found = paths.find(
        {
            "SENTINEL_CONFIG_DIR": "/c",
            "SENTINEL_STATE_DIR": "/s",
            "SENTINEL_RUNTIME_DIR": "/r",
            "XDG_CONFIG_HOME": "/x",
            "XDG_STATE_HOME": "/x",
            "XDG_RUNTIME_DIR": str(tmp_path),
        }
    )
    assert found == paths.Paths(Path("/c"), Path("/s"), Path("/r"))


def test_the_files_lie_in_their_directories():
    found = paths.Paths(Path("/c"), Path("/s"), Path("/r"))
    assert [str(p) for p in (found.config_file, found.journal, found.quarantine)] == [
        "/c/sentinel.toml",
        "/s/events.jsonl",
        "/s/quarantine",
    ]
    assert [str(p) for p in (found.inbox, found.hints, found.lock)] == ["/r/inbox.sock", "/r/hints", "/r/agent.lock"]


@pytest.mark.parametrize("variable", ["SENTINEL_CONFIG_DIR", "SENTINEL_STATE_DIR", "SENTINEL_RUNTIME_DIR"])
def test_a_relative_override_is_refused(variable):
    with pytest.raises(SentinelError, match=f'{variable} must be an absolute path, not "here"'):
        paths.find({variable: "here"})


def test_xdg_variables_are_followed(tmp_path):
    tmp_path.chmod(0o700)
    found = paths.find({"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": str(tmp_path)})
    assert found == paths.Paths(Path("/c/sentinel"), Path("/s/sentinel"), tmp_path / "sentinel")


def test_the_home_directory_decides_where_no_variable_speaks():
    script = "from sentinel import paths; p = paths.find(); print(p.config, p.state, sep='\\n')"
    home = {"HOME": "/home/eve", "XDG_CONFIG_HOME": "relative/is/ignored"}
    said = subprocess.run(
        [sys.executable, "-c", script],
        env=home,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    ).stdout.split("\n")
    if sys.platform == "darwin":
        assert said[0] == "/home/eve/Library/Application Support/sentinel"
    else:
        assert said[:2] == ["/home/eve/.config/sentinel", "/home/eve/.local/state/sentinel"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
def test_a_runtime_directory_that_others_can_write_is_not_used(tmp_path, mode):
    tmp_path.chmod(mode)
    assert paths.find({"XDG_RUNTIME_DIR": str(tmp_path), "HOME": "/h"}).runtime != tmp_path / "sentinel"


@pytest.mark.parametrize("value", ["", "relative", "/nonexistent/at/all", "/dev/null", "a\0b"])
def test_a_runtime_directory_that_cannot_be_used_is_passed_over(value):
    home_less = paths.find({"XDG_RUNTIME_DIR": value}).runtime
    assert home_less == paths.find({}).runtime
    assert str(os.geteuid()) in str(home_less)


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to give a directory to somebody else)")
def test_a_runtime_directory_of_somebody_else_is_not_used(tmp_path):
    tmp_path.chmod(0o700)
    os.chown(tmp_path, NOBODY, NOBODY)
    assert paths.find({"XDG_RUNTIME_DIR": str(tmp_path)}).runtime != tmp_path / "sentinel"


def test_finding_changes_nothing(tmp_path):
    paths.find({"XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_what_is_made_is_the_users_alone(tmp_path):
    previous = os.umask(0)
    try:
        where = paths.Paths(tmp_path / "c", tmp_path / "deep" / "er" / "state", tmp_path / "run")
        paths.prepare(where)
    finally:
        os.umask(previous)
    for made in (where.state, where.state.parent, where.state.parent.parent, where.runtime):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert not where.config.exists()


def test_preparing_twice_is_the_same(tmp_path):
    assert paths.prepare(places(tmp_path)) == ""
    assert paths.prepare(places(tmp_path)) == ""


@pytest.mark.parametrize("which", ["state", "run"])
def test_a_symbolic_link_is_refused(tmp_path, which):
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / which).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SentinelError, match=f"{which} is a symbolic link"):
        paths.prepare(places(tmp_path))


@pytest.mark.parametrize("which", ["state", "run"])
def test_a_file_is_refused(tmp_path, which):
    (tmp_path / which).write_text("")
    with pytest.raises(SentinelError, match=f"{which} is not a directory"):
        paths.prepare(places(tmp_path))


@pytest.mark.parametrize("which", ["state", "run"])
@pytest.mark.parametrize("mode", [0o701, 0o710, 0o740, 0o755])
def test_a_directory_open_to_others_is_refused_with_the_cure(tmp_path, which, mode):
    (tmp_path / which).mkdir()
    (tmp_path / which).chmod(mode)
    with pytest.raises(SentinelError, match=f"mode {mode:04o}.*chmod 700 {tmp_path / which}"):
        paths.prepare(places(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to give a directory to somebody else)")
@pytest.mark.parametrize("which", ["state", "run"])
def test_a_directory_of_somebody_else_is_refused(tmp_path, which):
    (tmp_path / which).mkdir(0o700)
    os.chown(tmp_path / which, NOBODY, NOBODY)
    with pytest.raises(SentinelError, match=f"belongs to another user .uid {NOBODY}"):
        paths.prepare(places(tmp_path))


def test_a_state_directory_that_cannot_be_made_is_said_and_stops_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    where = paths.Paths(tmp_path, tmp_path / "file" / "state", tmp_path / "run")
    assert paths.prepare(where) == f"cannot make {where.state}: Not a directory"
    assert where.runtime.is_dir()


def test_a_runtime_directory_that_cannot_be_made_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SentinelError, match=r"cannot make .*/file/run: Not a directory"):
        paths.prepare(paths.Paths(tmp_path, tmp_path / "state", tmp_path / "file" / "run"))
