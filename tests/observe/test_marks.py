"""Marks in the environments of real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sentinel.core.candidates import Mark
from sentinel.core.facts import Unknown
from sentinel.observe import processes
from sentinel.observe.marks import marks_of


@pytest.fixture
def marked():
    started = []

    def start(**environ):
        script = "import sys; print(flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-ISc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
        )
        started.append(process)
        process.stdout.readline()
        return process.pid

    yield start
    for process in started:
        process.communicate()


def test_who_is_named_and_how(marked):
    found = marks_of(
        marked(
            CLAUDE_PID="4231",
            CLAUDE_CODE_SESSION_ID="c0ffee",
            TMUX="/run/a,b/default,4100,0",
            STY="4099.pts-0.host",
            SENTINEL_SESSION="a:b:4098",
            CODEX_THREAD_ID="t-1",
            EDITOR="vi",
        )
    )
    assert found == (
        Mark("CLAUDE_PID", "4231", "claude", 4231),
        Mark("TMUX", "/run/a,b/default,4100,0", "the tmux server", 4100),
        Mark("STY", "4099.pts-0.host", "screen", 4099),
        Mark("SENTINEL_SESSION", "a:b:4098", "a sentinel run", 4098),
        Mark("CLAUDE_CODE_SESSION_ID", "c0ffee", "claude"),
        Mark("CODEX_THREAD_ID", "t-1", "codex"),
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"CLAUDE_PID": "0"},
        {"CLAUDE_PID": "-1"},
        {"CLAUDE_PID": "4231 "},
        {"CLAUDE_PID": "²"},
        {"CLAUDE_PID": "9" * 11},
        {"TMUX": "/run/default,4100"},
        {"TMUX": "/run/default,x,0"},
        {"STY": "name"},
        {"SENTINEL_SESSION": "4098"},
        {"CLAUDE_CODE_SESSION_ID": ""},
        {"XCLAUDE_PID": "4231"},
    ],
    ids=str,
)
def test_a_value_of_another_form_is_no_mark(marked, environ):
    assert marks_of(marked(**environ)) == ()


def test_a_long_value_is_cut(marked):
    (mark,) = marks_of(marked(CODEX_THREAD_ID="x" * 5000))
    assert len(mark.value) == 120


def test_of_a_variable_that_is_there_twice_the_first_counts(marked):
    pid = marked(A="1", B="")
    assert processes.variables(pid, {"A", "B", "C"}) == {"A": "1", "B": ""}


def test_what_is_gone_has_no_answer():
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert isinstance(marks_of(process.pid), Unknown)
