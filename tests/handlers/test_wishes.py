from __future__ import annotations

import pytest

from sentinel import config
from sentinel.bus import Bus
from sentinel.core.events import ConfigurationRead
from sentinel.core.policy import Mode
from sentinel.handlers.wishes import Wishes


class Desk:
    """A configuration on disk, and what was said of it."""

    def __init__(self, file):
        self.file = file
        self.said = []
        bus = Bus(lambda *_: 0)
        bus.subscribe(ConfigurationRead, self.said.append)
        self.wishes = Wishes(bus, config.load(file), lambda: config.load(file))

    def read(self, text):
        self.file.write_text(text)
        self.wishes.read_again()
        return self.said[-1]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "sentinel.toml")


def test_what_is_there_now_holds(desk):
    assert desk.wishes.now.policy.mode is Mode.ACT
    assert desk.read('mode = "observe"') == ConfigurationRead()
    assert desk.wishes.now.policy.mode is Mode.OBSERVE


@pytest.mark.parametrize("wrong", ["mode = 7", "no such = key", "[notify]\nenabled = false\nno_such = 1", "\xff"])
def test_a_wrong_one_is_refused_as_a_whole(desk, wrong):
    desk.read('mode = "observe"')
    before = desk.wishes.now
    said = desk.read(wrong)
    assert said.trouble.startswith(str(desk.file))
    assert desk.wishes.now is before
    assert desk.read("").trouble == ""


def test_what_waits_for_the_next_start_is_said(desk):
    said = desk.read('[sources]\nprocesses = "polling"\n[notify]\nenabled = false\nmin_processes = 3')
    assert said.later == ("sources", "notify.enabled")
    assert desk.wishes.now.notify.min_processes == 3
    assert desk.read("").later == ()
