"""A skipped test says what is missing, and where that could have been installed it is a failure.

A reason reads ``missing: NAME`` or ``missing: NAME (more)``. Elsewhere than in CI every such
skip is fine: a developer need not have everything. In CI only what no package brings may be
missing; the rest is a test that silently stopped running.
"""

from __future__ import annotations

import os

import pytest

CANNOT_BE_INSTALLED = (
    "Linux",  # the kernel that we run on, and its version
    "macOS",
    "root",
    "the initial pid namespace",
    "a second file system",
    "mount namespaces",
    "overlayfs",
    "ptrace",  # forbidden in some containers
    "a real overmind",  # in no Debian release and not on PyPI
    "Claude Code",  # npm has it: 235 MB under terms of its own, which are each developer's to accept
    "vite",  # npm has it, neither Debian nor PyPI: where npm or a network is not, there is none
    "another tmux",  # of other Debian releases than ours, which not each mirror has, and which move
    "a tmux that loses SIGCHLD",  # Debian's does, when several panes end in one instant: not each time
)
_PREFIX = "missing: "
_WRONG: list[str] = []


def is_excused(name: str) -> bool:
    """Whether nothing that we could install would bring it."""
    return any(name == known or name.startswith(f"{known} ") for known in CANNOT_BE_INSTALLED)


def what_is_wrong(reason: str, *, in_ci: bool) -> str:
    """A sentence about a skip that must not be, or nothing."""
    reason = reason.removeprefix("Skipped: ")
    if not reason.startswith(_PREFIX):
        return f'a reason to skip reads "{_PREFIX}NAME", not "{reason}"'
    if in_ci and not is_excused(reason.removeprefix(_PREFIX)):
        return f"skipped in CI, where it can be installed: {reason}"
    return ""


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if wrong := what_is_wrong(reason or "", in_ci=os.environ.get("CI") == "true"):
        _WRONG.append(f"{report.nodeid}: {wrong}")


def pytest_runtest_logreport(report):
    _note(report)


def pytest_collectreport(report):
    _note(report)


def pytest_sessionfinish(session, exitstatus):
    if _WRONG and exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if _WRONG:
        terminalreporter.section("skips that must not be", red=True)
        for line in _WRONG:
            terminalreporter.write_line(line)
