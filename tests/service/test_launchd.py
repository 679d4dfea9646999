"""launchd is not here. Without it can be known: the list is well-formed, of known keys and the right types."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from sentinel.service import launchd

COMMAND = ["/Users/me/.venv/bin/python", "-m", "sentinel"]
LOGS = Path("/Users/me/Library/Logs/sentinel & co")
KEYS = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ProcessType": str,
    "AbandonProcessGroup": bool,
    "ExitTimeOut": int,
    "Umask": int,
    "EnvironmentVariables": dict,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}
"""The keys that are used, with their types in launchd.plist(5)."""
DTD = Path("/usr/share/xml/gnustep/plist-0_9.dtd")


def written(command=COMMAND):
    return launchd.agent(command, LOGS)


def test_it_runs_the_command_at_log_in_and_after_a_crash_alone():
    said = plistlib.loads(written())
    assert said["ProgramArguments"] == [*COMMAND, "agent", "--quiet"]
    assert said["RunAtLoad"] is True
    assert said["KeepAlive"] == {"SuccessfulExit": False}
    assert said["ThrottleInterval"] == 10


def test_nothing_of_the_users_dies_or_slows_down_with_it():
    said = plistlib.loads(written())
    assert said["AbandonProcessGroup"] is True
    assert said["ProcessType"] != "Background"
    assert said["EnvironmentVariables"]["PATH"].startswith("/opt/homebrew/bin:")


def test_it_has_no_key_that_launchd_does_not_know_and_each_is_of_its_type():
    assert {key: type(value) for key, value in plistlib.loads(written()).items()} == KEYS


def test_apples_own_grammar_takes_it(tmp_path):
    if not shutil.which("xmllint"):
        pytest.skip("missing: xmllint (Debian: libxml2-utils)")
    if not DTD.exists():
        pytest.skip("missing: the DTD of property lists (Debian: gnustep-base-common)")
    file = tmp_path / "agent.plist"
    file.write_bytes(written(["/Users/me/<tools> & more/python"]))
    check = ["xmllint", "--noout", "--nonet", "--dtdvalid", str(DTD)]
    assert subprocess.run([*check, str(file)], check=False).returncode == 0
    file.write_bytes(written().replace(b"<dict>", b"<dict><oops/>", 1))
    assert subprocess.run([*check, str(file)], check=False, stderr=subprocess.DEVNULL).returncode != 0


@pytest.mark.parametrize("command", [[], ["python3"], ["/a\nb"]])
def test_what_launchd_could_not_run_is_refused(command):
    with pytest.raises(ValueError, match="LaunchAgent"):
        written(command)


def test_the_commands_speak_of_the_users_own_domain():
    home = Path("/Users/me")
    file = str(launchd.place(home))
    assert file == "/Users/me/Library/LaunchAgents/dev.sentinel.agent.plist"
    assert launchd.load(501, home) == ["launchctl", "bootstrap", "gui/501", file]
    assert launchd.unload(501) == ["launchctl", "bootout", "gui/501/dev.sentinel.agent"]
    assert launchd.restart(501) == ["launchctl", "kickstart", "-k", "gui/501/dev.sentinel.agent"]
    assert launchd.describe(501) == ["launchctl", "print", "gui/501/dev.sentinel.agent"]
