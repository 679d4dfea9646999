"""A machine that boots: systemd as the first process, logind, and a user who lingers.

The rest of the service is tried on a user's manager alone, in test_service.py; here it is the
system that starts that manager, and nobody logs in.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.lab.stage import lab_user

pytestmark = pytest.mark.real

LAB = Path(__file__).parent.parent / "lab" / "pid1_lab.sh"
SCRIPT = """
set -e
told() { echo "=== $1"; }
told first; cat /proc/1/comm; systemctl --user is-system-running || true
told linger; loginctl show-user "$USER" --property=Linger --property=State
sentinel install --only service --yes
told status; sentinel service status
told doctor; sentinel doctor || true
told crash; kill -9 "$(systemctl --user show sentinel.service --value --property=MainPID)"
for _ in $(seq 100); do sentinel service status | grep -q 'again once' && break; sleep 0.1; done
sentinel service status
for _ in $(seq 100); do sentinel service logs | grep -q 'status=9/KILL' && break; sleep 0.1; done
told logs; sentinel service logs
told gone; sentinel uninstall --yes; systemctl --user show sentinel.service --value --property=LoadState
"""


@pytest.fixture(scope="module")
def told(program):
    """What the user was told, by its headline."""
    if not os.path.exists("/lib/systemd/systemd"):
        pytest.skip("missing: systemd")
    user = pwd.getpwuid(lab_user()[0]).pw_name
    done = subprocess.run(
        [LAB, user, "bash", "-c", SCRIPT],
        env={**os.environ, "LAB_PROGRAM": str(program)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    if "overlay" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"missing: overlayfs ({done.stderr.strip()[-200:]})")
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(part.split("\n", 1) for part in done.stdout.split("=== ")[1:])


def test_it_is_kept_for_one_who_lingers_by_a_systemd_that_booted(told):
    assert told["first"].startswith("systemd\n")
    assert "Linger=yes" in told["linger"]
    assert "The service is installed" in told["status"]
    assert "It runs (pid " in told["status"]
    assert "enable-linger" not in told["status"]
    assert "nobody would watch" not in told["doctor"]


def test_it_comes_back_and_the_journal_of_the_user_tells_of_it(told):
    assert "started again once" in told["crash"]
    assert "Started sentinel.service" in told["logs"]
    assert "code=killed, status=9/KILL" in told["logs"]
    assert told["gone"].endswith("not-found\n")
