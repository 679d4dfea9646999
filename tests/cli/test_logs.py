"""`sentinel logs` where there is little to show; how logs are followed is tried in real/test_environment."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from sentinel.cli.logs import command

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project whose logs are in its directory."""
    shop = tmp_path / "shop"
    shop.mkdir()
    shop.joinpath("sentinel.toml").write_text('[project]\nlogs = "log"\n')
    shop.joinpath("Procfile").write_text("web: true\n")
    monkeypatch.chdir(shop)
    return shop


def logs(*arguments):
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_before_the_first_start_there_are_none(shop):
    assert logs() == ("there are no logs of shop yet\n", "")


def test_an_empty_log_is_said_to_be_empty(shop):
    """Beside what is written: a program that reads the logs is not to take it for a line of them."""
    shop.joinpath("log").mkdir()
    web, worker = shop / "log" / "web.log", shop / "log" / "worker.log"
    web.touch()
    worker.touch()
    out, err = logs()
    assert out == ""
    assert err.startswith("sentinel: nothing is in the log of web, worker: ")
    assert "docs/" not in err  # whoever has installed Sentinel has none
    worker.write_text("busy\n")
    assert logs() == ("worker | busy\n", "")
    assert logs("web")[1].startswith("sentinel: nothing is in the log of web: ")
    assert logs("web", "-n", "0") == ("", "")
