"""`sentinel status`: sentences for people, codes for scripts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

import pytest
from click.testing import CliRunner

from sentinel import config, instance
from sentinel.cli.status import command
from sentinel.errors import ConfigError
from tests.cli.standin import StandIn

pytestmark = pytest.mark.usefixtures("here")

ANSWER = {
    "version": "1.2.3",
    "source": "polling",
    "why_not_better": "this is not the initial pid namespace",
    "mode": "act",
    "sessions": 2,
    "dead": 0,
    "processes": 1,
    "cleaned": 0,
    "trouble": "",
}


@pytest.fixture
def agent(where):
    """A stand-in for a running agent: the lock and the inbox."""
    with contextlib.ExitStack() as stack:

        def agent(answer):
            stack.enter_context(instance.claim(where))
            if answer is not None:
                stack.enter_context(contextlib.closing(StandIn(where.inbox, lambda _: answer)))

        yield agent


def status(*options):
    done = CliRunner().invoke(command, options)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout


def test_a_running_agent_is_described(agent):
    agent(ANSWER)
    code, out = status()
    assert code == 0
    first, source, watched = out.splitlines()
    assert first.startswith(f"The agent runs (pid {os.getpid()}, since {time.strftime('%Y-%m-%d')}")
    assert first.endswith("version 1.2.3).")
    assert source == "It hears of births and deaths by polling (this is not the initial pid namespace)."
    assert watched == "It watches 2 sessions with 1 process; 0 clean-ups since its start."


def test_json_has_all_of_it(agent):
    agent(ANSWER)
    code, out = status("--json")
    data = json.loads(out)
    assert code == 0
    assert {**data, **ANSWER} == data
    assert (data["state"], data["pid"]) == ("running", os.getpid())


def test_what_is_not_as_it_should_be_is_said_besides(agent):
    agent({**ANSWER, "mode": "observe", "dead": 1, "trouble": "the disk\x1b[2J is full", "unwatched": "tmux"})
    _, out = status()
    assert 'It only observes: nothing is ended (mode = "observe").' in out
    assert "Of 1 dead session something is left: see sentinel sessions." in out
    assert "Not watched: tmux\n" in out
    assert "Trouble: the disk\\x1b[2J is full" in out


def test_a_configuration_that_is_wrong_on_the_disk_is_said_before_anybody_reads_it_again(agent, where):
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("\nmodus = 1\n")
    agent(ANSWER)
    code, out = status()
    assert code == 0
    assert f"The configuration on the disk cannot be used: {where.config_file}:2: " in out
    where.config_file.write_text("")
    assert "cannot be used" not in status()[1]


def test_what_the_agent_says_of_the_configuration_is_not_said_twice(agent, where):
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("modus = 1\n")
    with pytest.raises(ConfigError) as refused:
        config.load(where.config_file)
    agent({**ANSWER, "refused": str(refused.value)})
    assert status()[1].count(f"{where.config_file}:1: ") == 1


def test_no_agent_is_3():
    assert status() == (3, "The agent is not running. Start it with: sentinel agent\n")
    code, out = status("--json")
    assert (code, json.loads(out)["state"]) == (3, "stopped")


def test_who_stands_in_a_project_is_told_how_to_ask_for_that_one(tmp_path, monkeypatch):
    shop, nothing = tmp_path / "shop", tmp_path / "nothing"
    shop.mkdir()
    nothing.mkdir()
    shop.joinpath("Procfile").write_text("web: true\n")
    monkeypatch.chdir(nothing)
    assert "sentinel status ." not in status()[1]
    monkeypatch.chdir(shop)
    assert status()[1].endswith("For the project shop, in which you are: sentinel status .\n")
    assert json.loads(status("--json")[1])["state"] == "stopped"


def test_where_the_service_is_installed_that_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))  # a Mac's is found by it
    monkeypatch.setattr(sys, "platform", "linux")
    unit = tmp_path / "systemd" / "user" / "sentinel.service"
    unit.parent.mkdir(parents=True)
    assert "with: sentinel agent\n" in status()[1]
    unit.touch()
    assert status() == (3, "The agent is not running. Start it with: sentinel service start\n")


def test_one_that_died_without_a_word_is_1(where):
    with contextlib.suppress(ValueError), instance.claim(where):
        raise ValueError
    code, out = status()
    assert code == 1
    assert out.startswith(f"The agent (pid {os.getpid()}) has died without a word.")
    code, out = status("--json")
    assert (code, json.loads(out)["state"]) == (1, "crashed")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_one_that_holds_its_lock_and_does_not_answer_is_4(agent, form):
    agent(None)
    code, out = status(*form)
    assert code == 4
    assert "it holds its lock, but no agent answers" in out


def test_a_lock_that_cannot_be_read_is_4(where):
    where.lock.symlink_to("elsewhere")
    code, out = status("--json")
    assert (code, json.loads(out)["state"]) == (4, "unknown")


def test_an_answer_of_another_version_does_not_break_it(agent):
    agent({"version": 7, "sessions": "many", "something": "new"})
    code, out = status()
    assert code == 0
    assert "0 sessions with 0 processes" in out
