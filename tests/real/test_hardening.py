"""Each line of the unit that promises to confine the agent does so, under a real systemd of a user."""

from __future__ import annotations

import json

import pytest

from sentinel.service import systemd
from tests.lab.systemd import PREFIX

pytestmark = pytest.mark.real

PROBES = """
import ctypes, errno, json, mmap, os, socket, tempfile
libc = ctypes.CDLL(None, use_errno=True)

def refused(function, *arguments):
    try:
        result = function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return errno.errorcode.get(ctypes.get_errno(), "") if result == -1 else ""

def group(name):
    unified = next(line for line in open("/proc/self/cgroup") if line.startswith("0::"))
    try:
        return open("/sys/fs/cgroup" + unified[3:].strip() + "/" + name).read().strip()
    except OSError:
        return "no such controller"

status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
mask = os.umask(0)
with tempfile.NamedTemporaryFile() as file:
    print(json.dumps({
        "NoNewPrivileges": status["NoNewPrivs"],
        "LockPersonality": refused(libc.personality, 0x40000),
        "MemoryDenyWriteExecute": refused(lambda: mmap.mmap(-1, 4096, prot=7)),
        "RestrictRealtime": refused(libc.sched_setscheduler, 0, 1, None),
        "RestrictSUIDSGID": refused(os.chmod, file.name, 0o4700),
        "RestrictNamespaces": refused(libc.setns, -1, 0),
        "RestrictAddressFamilies": refused(lambda: socket.socket(socket.AF_INET).close()),
        "SystemCallArchitectures": status["Seccomp_filters"].strip(),
        "UMask": oct(mask),
        "TasksMax": group("pids.max"),
        "MemoryMax": group("memory.max"),
    }))
"""
"""What each line is for, tried: an error's name, or what the kernel says. Where permission is not
the question, arguments that are wrong tell whether the filter or the call was asked first."""

ACTING = {
    "NoNewPrivileges": {"1"},
    "LockPersonality": {"EPERM"},
    "MemoryDenyWriteExecute": {"EPERM", "EACCES"},
    "RestrictRealtime": {"EPERM"},  # else EINVAL
    "RestrictSUIDSGID": {"EPERM"},
    "RestrictNamespaces": {"EPERM"},  # else EBADF
    "RestrictAddressFamilies": {"EAFNOSUPPORT"},
    "SystemCallArchitectures": {"1"},
    "UMask": {"0o77"},
    "TasksMax": {"64", "no such controller"},  # where the machine has it in the older hierarchy
    "MemoryMax": {str(256 << 20), "no such controller"},
}


def promises():
    """The unit's lines that confine, by name."""
    unit = systemd.unit(["/usr/bin/python3"])
    block = unit.partition("# Of the many lines")[2].partition("[Install]")[0]
    lines = [line for line in [*block.splitlines()[1:], "UMask=0077"] if "=" in line and not line.startswith("#")]
    return {line.partition("=")[0]: line for line in lines}


def tried(manager, *lines):
    options = [f"--property={line}" for line in lines]
    done = manager.run(
        "systemd-run",
        "--user",
        "--wait",
        "--pipe",
        "--collect",
        "--quiet",
        *options,
        f"{PREFIX}/bin/python3",
        "-c",
        PROBES,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_line_acts_and_none_is_there_for_show(manager):
    lines = promises()
    assert set(lines) == set(ACTING)
    bare = tried(manager)
    for name, line in lines.items():
        known = tried(manager, line)[name]
        assert known in ACTING[name], line
        assert bare[name] not in ACTING[name] - {"no such controller"}, f"{line} is not what does it"


def test_all_of_them_together_leave_the_agent_what_it_needs(manager):
    together = tried(manager, *promises().values())
    together["SystemCallArchitectures"] = "1"  # of many filters now
    assert {name for name, known in together.items() if known not in ACTING[name]} == set()
    assert manager.sentinel("install", "--only", "service", "--yes").returncode == 0
    told = json.loads(manager.sentinel("status", "--json").stdout)
    assert (told["source"], told["trouble"], told["why_not_better"]) == ("proc connector", "", "")
