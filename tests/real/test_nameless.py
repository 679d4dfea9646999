"""A user who is a number and nothing else, as in many a container: no name, and perhaps no home."""

from __future__ import annotations

import itertools
import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.lab.stage import interpreter

pytestmark = pytest.mark.real


@pytest.fixture
def place():
    """A directory that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="sentinel-nameless-") as made:
        os.chmod(made, 0o755)  # noqa: S103 - it holds the home, which is closed
        yield Path(made)


@pytest.fixture
def sentinel(place):
    """Runs Sentinel as somebody who is in no user database."""
    if os.getuid() != 0:
        pytest.skip("missing: root (to be a user without a name)")
    known = {user.pw_uid for user in pwd.getpwall()}
    uid = next(number for number in itertools.count(61000) if number not in known)
    own, others = place / "own", place / "others"
    for home in (own, others):
        home.mkdir(mode=0o700)
    os.chown(own, uid, uid)

    def run(*words, home="own"):
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *interpreter(), *words]
        environ = {"PATH": "/usr/bin:/bin", **({"HOME": str(place / home)} if home else {})}
        return subprocess.run(become, env=environ, cwd="/", capture_output=True, text=True, timeout=30, check=False)

    return run


def test_without_a_name_there_is_a_history_and_no_service(sentinel):
    assert sentinel("status").returncode == 3
    done = sentinel("service", "status")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "Traceback" not in sentinel("install", "--dry-run").stderr


@pytest.mark.parametrize("words", [("status",), ("agent",), ("doctor",), ("run", "--", "true")])
def test_without_a_home_either_one_sentence_says_what_to_do(sentinel, words):
    done = sentinel(*words, home="")
    assert (done.returncode, done.stderr) == (1, "sentinel: there is no home directory: set HOME\n")


@pytest.mark.parametrize("words", [("status",), ("sessions",), ("agent",), ("doctor",), ("install", "--dry-run")])
def test_the_home_of_somebody_else_is_told_in_sentences(sentinel, words):
    """As `sudo -u` leaves it: HOME is that of who asked."""
    done = sentinel(*words, home="others")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert words == ("sessions",) or "Permission denied" in done.stdout + done.stderr
