"""What a button of a popup does: less, an explanation, or something back."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.bus import Bus
from sentinel.core.actions import RemoveLock, Result
from sentinel.core.buttons import PAUSED_FOR, Button
from sentinel.core.events import FileReturned, Paused
from sentinel.core.rules.locks import LockKind, Shape
from sentinel.core.switches import Halt
from sentinel.core.tally import MOST_FILES, Tally, of_lock, reasons
from sentinel.core.verdicts import Stale
from sentinel.handlers.buttons import Buttons, Offer
from sentinel.handlers.halting import PAUSED, Halting
from sentinel.reaper import removals
from sentinel.reaper.quarantine import moment, stamp
from sentinel.switches import SwitchBoard
from tests.handlers.room import moves_files

MORE = "sentinel explain api-4231"


class Desk:
    """Real switches and a real quarantine, and what was told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[object] = []
        (root / "state").mkdir()
        self.switches = SwitchBoard(root / "state" / "switches.json", "a boot")
        bus = Bus(lambda event, _: self.events.append(event) or len(self.events))
        self.halting = Halting(bus, self.switches)
        self.buttons = Buttons(bus, self.halting, root / "quarantine")

    def removed(self, *names: str) -> Tally:
        """What is told once these locks were taken away."""
        whole = Tally()
        for name in names:
            path = self.root / name
            path.write_text("4231\n")
            status = path.lstat()
            action = RemoveLock(Stale(str(path), status.st_dev, status.st_ino, ()), LockKind.PID_FILE, Shape.FILE)
            assert removals.remove(action, self.root / "quarantine", lambda _: True).result is Result.REMOVED
            whole.add(of_lock(str(path), "process 4231"))
        return whole

    def offer(self, it: Tally) -> Offer:
        return self.buttons.offer(it, "api-4231@7", MORE)


@pytest.fixture
def desk():
    root = tempfile.mkdtemp(prefix="sentinel-")
    yield Desk(Path(os.path.realpath(root)))
    shutil.rmtree(root)


# -- which there are -------------------------------------------------------------------


def test_where_no_file_was_removed_there_is_nothing_to_undo(desk):
    assert desk.offer(Tally()).buttons == (Button.WHY, Button.PAUSE)


@moves_files
def test_what_can_come_back_can_be_undone(desk):
    assert desk.offer(desk.removed("server.pid")).buttons == (Button.WHY, Button.PAUSE, Button.UNDO)


@moves_files
def test_what_is_in_no_quarantine_any_more_cannot(desk):
    it = desk.removed("server.pid")
    shutil.rmtree(desk.root / "quarantine")
    assert Button.UNDO not in desk.offer(it).buttons


@moves_files
def test_what_was_removed_long_before_a_popup_is_not_looked_for(desk):
    it = desk.removed("server.pid")
    [entry] = (desk.root / "quarantine").iterdir()
    entry.rename(entry.with_name(f"{stamp(moment().wall - 3600)}{entry.name[16:]}"))
    assert Button.UNDO not in desk.offer(it).buttons


@moves_files
def test_of_more_than_a_person_could_have_meant_nothing_is_undone(desk):
    it = desk.removed("server.pid")
    it.files *= MOST_FILES + 1
    assert Button.UNDO not in desk.offer(it).buttons


# -- why -------------------------------------------------------------------------------


@moves_files
def test_why_says_it_and_leaves_the_other_buttons(desk):
    it = desk.removed("server.pid")
    offer = desk.offer(it)
    answer = desk.buttons.press(Button.WHY, offer)
    assert answer.body == reasons(it, MORE) == f"server.pid: its holder, process 4231, has ended\n{MORE}"
    assert (answer.offer.session, answer.offer.buttons) == ("api-4231@7", (Button.PAUSE, Button.UNDO))
    assert answer.offer.files == offer.files
    assert desk.events == []


# -- pause -----------------------------------------------------------------------------


def test_pause_holds_for_an_hour_and_says_until_when(desk):
    answer = desk.buttons.press(Button.PAUSE, desk.offer(Tally()))
    [paused] = desk.events
    assert isinstance(paused, Paused)
    assert time.time() + PAUSED_FOR - 60 < paused.until <= time.time() + PAUSED_FOR
    assert desk.switches.held() == PAUSED
    until = time.strftime("%H:%M", time.localtime(paused.until))
    assert answer.body == f"Nothing is ended until {until}.\nsentinel resume"
    assert answer.offer.buttons == ()


@pytest.mark.parametrize("until", [None, 2 * PAUSED_FOR])
def test_pause_never_makes_a_longer_one_shorter(desk, until):
    """The mercy of it: a button never has Sentinel act sooner than a person has said."""
    desk.halting.pause(until and time.time() + until)
    before, told = desk.switches.now(), list(desk.events)
    answer = desk.buttons.press(Button.PAUSE, desk.offer(Tally()))
    assert (desk.switches.now(), desk.events) == (before, told)
    assert answer.title == "Sentinel is held already"
    assert answer.body.endswith(f": {PAUSED}.\nsentinel resume")


def test_pause_makes_a_shorter_one_longer(desk):
    desk.halting.pause(time.time() + PAUSED_FOR / 2)
    assert desk.buttons.press(Button.PAUSE, desk.offer(Tally())).title == "Sentinel is paused"
    assert desk.switches.now().pause.until > time.time() + PAUSED_FOR - 60


def test_where_sentinel_has_stopped_itself_a_pause_does_not_end_that_after_an_hour(desk):
    desk.switches.change(lambda now: replace(now, breaker=Halt(1.0, "too much at once")))
    assert desk.buttons.press(Button.PAUSE, desk.offer(Tally())).title == "Sentinel is held already"
    assert desk.switches.held() == "too much at once"


def test_a_pause_that_cannot_be_written_says_how_long_it_holds(desk):
    shutil.rmtree(desk.root / "state")
    answer = desk.buttons.press(Button.PAUSE, desk.offer(Tally()))
    assert "\nIt holds until the agent ends: " in answer.body
    assert desk.switches.held() == PAUSED


# -- undo ------------------------------------------------------------------------------


@moves_files
def test_undo_puts_everything_back_and_records_it(desk):
    offer = desk.offer(desk.removed("a.pid", "b.pid"))
    answer = desk.buttons.press(Button.UNDO, offer)
    assert [(desk.root / name).read_text() for name in ("a.pid", "b.pid")] == ["4231\n", "4231\n"]
    assert {event.path for event in desk.events if isinstance(event, FileReturned)} == {k.path for k in offer.files}
    assert answer.title == "Sentinel put it back"
    assert answer.body.splitlines() == [f"{desk.root / name} is there again." for name in ("b.pid", "a.pid")]
    assert answer.offer.buttons == ()


@moves_files
def test_undo_overwrites_nothing_and_says_what_stays(desk):
    offer = desk.offer(desk.removed("a.pid", "b.pid"))
    (desk.root / "a.pid").write_text("5000\n")
    answer = desk.buttons.press(Button.UNDO, offer)
    assert (desk.root / "a.pid").read_text() == "5000\n"
    assert answer.title == "Sentinel could not put back 1 of 2"
    assert answer.body.splitlines() == [
        f"{desk.root / 'a.pid'} stays in quarantine: something else is there by now",
        f"{desk.root / 'b.pid'} is there again.",
        "sentinel undo --list",
    ]


@moves_files
def test_to_undo_twice_does_no_harm(desk):
    offer = desk.offer(desk.removed("a.pid"))
    desk.buttons.press(Button.UNDO, offer)
    told = list(desk.events)
    assert desk.buttons.press(Button.UNDO, offer).title == "Sentinel could not put back 1 of 1"
    assert desk.events == told


@moves_files
def test_of_many_the_first_are_told_one_by_one(desk):
    names = [f"{number}.pid" for number in range(8)]
    answer = desk.buttons.press(Button.UNDO, desk.offer(desk.removed(*names)))
    assert all((desk.root / name).exists() for name in names)
    assert answer.body.splitlines()[-1] == "and 3 more"
