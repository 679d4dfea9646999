"""`sentinel agent`: who may run it, and what it does before it watches."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sentinel import instance
from sentinel.cli import agent
from sentinel.errors import AlreadyRunning, ConfigError, SentinelError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def in_our_group(here, monkeypatch):
    monkeypatch.setattr(agent, "_leave_the_group_of_our_starter", lambda: None)  # pytest stays in its own


@pytest.fixture
def nobody_serves(monkeypatch):
    """No agent is ever run here: what ends processes is tested in a namespace."""

    def run(coroutine):
        coroutine.close()
        pytest.fail("an agent was run")

    monkeypatch.setattr(asyncio, "run", run)


def invoke(*options):
    return CliRunner().invoke(agent.command, options)


def test_root_is_refused_with_the_way_out(nobody_serves, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.delenv("SENTINEL_ALLOW_ROOT", raising=False)
    error = invoke().exception
    assert isinstance(error, SentinelError)
    assert "SENTINEL_ALLOW_ROOT=1" in str(error)


def test_a_second_one_says_who_runs_and_ends_well(nobody_serves, where, monkeypatch):
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    with instance.claim(where):
        error = invoke().exception
    assert isinstance(error, AlreadyRunning)
    assert str(error).startswith(f"already running (PID {os.getpid()}, since ")
    assert error.exit_code == 0


def test_wishes_that_cannot_be_read_are_refused_before_anything_is_made(nobody_serves, where, monkeypatch):
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("mode = 7\n")
    error = invoke().exception
    assert isinstance(error, ConfigError)
    assert error.exit_code == 78
    assert not where.lock.exists()


def test_an_agent_that_fails_leaves_the_word_that_it_crashed(where, monkeypatch):
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")

    def run(coroutine):
        coroutine.close()
        assert instance.look(where).condition is instance.Condition.RUNNING
        raise OSError("a test says so")

    monkeypatch.setattr(asyncio, "run", run)
    assert isinstance(invoke().exception, OSError)
    assert instance.look(where).condition is instance.Condition.CRASHED


LEAVES = (
    "import os; from sentinel.cli import agent; before = os.getpgrp(); agent._leave_the_group_of_our_starter();"
    "print(before != os.getpid(), os.getpgrp() == os.getpid())"
)


def test_in_the_background_it_has_a_group_of_its_own():
    done = subprocess.run(
        ["setsid", "sh", "-c", f'{sys.executable} -c "$1"; :', "sh", LEAVES],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout == "True True\n"


def test_a_leader_of_a_session_stays_what_it_is():
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], capture_output=True, text=True, cwd=ROOT, check=True, start_new_session=True
    )
    assert done.stdout == "False True\n"
