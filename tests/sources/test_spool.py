"""The spool: written by the real hook, told through the real file source."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel import wire
from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, HookLeft, SourceDegraded
from sentinel.core.hooks import HookCall
from sentinel.sources.files import FileSource
from sentinel.sources.spool import SpoolSource
from tests.sources.test_hints import Watches

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: inotify")

ROOT = Path(__file__).parents[2]


class Room:
    """A spool that is read when the test says so."""

    def __init__(self, runtime, watches=None, bus=None):
        self.path = runtime / "spool"
        self.bus = bus or Bus(lambda _event, cause: cause)
        self.watches = watches or Watches()
        self.source = SpoolSource(self.bus, self.watches, self.path)
        self.calls, self.degraded = [], []
        self.bus.subscribe(HookLeft, lambda event: self.calls.append(event.call))
        self.bus.subscribe(SourceDegraded, self.degraded.append)

    def leave(self, number, content=None):
        """What a hook leaves, as the ``number``-th."""
        call = HookCall(f"{number:020d}-7", "claude", "Stop", 1.0)
        (self.path / f"{call.id}.json").write_bytes(wire.encode(wire.Hook(call)) if content is None else content)
        return call

    def look(self):
        self.bus.publish(FileChanged(f"{self.path}/x"))


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def fire(runtime, event):
    """Fire a real hook."""
    subprocess.run(
        [sys.executable, "-m", "sentinel", "hook", "claude", event],
        input=b"{}",
        cwd=ROOT,
        env={"SENTINEL_RUNTIME_DIR": str(runtime)},
        timeout=30,
        check=True,
    )


def test_what_was_left_before_is_told_at_the_start_in_its_order(tmp_path, room):
    for event in ("SessionStart", "Stop", "SessionEnd"):
        fire(tmp_path, event)
    room.source.start()
    assert [call.event for call in room.calls] == ["SessionStart", "Stop", "SessionEnd"]
    assert os.listdir(room.path) == []


def test_what_comes_later_is_told_when_it_comes(tmp_path):
    async def scenario():
        bus = Bus(lambda _event, cause: cause)
        files = FileSource(bus, asyncio.get_running_loop())
        room = Room(tmp_path, files, bus)
        files.start()
        room.source.start()
        await asyncio.to_thread(fire, tmp_path, "Stop")
        async with asyncio.timeout(20):
            while not room.calls:
                await asyncio.sleep(0.01)
        room.source.stop()
        files.stop()
        return room

    room = asyncio.run(scenario())
    assert [call.event for call in room.calls] == ["Stop"]
    assert os.listdir(room.path) == []


def test_lost_notices_have_it_read(room):
    room.source.start()
    call = room.leave(1)
    room.bus.publish(EventsLost("files", "overflow"))
    assert room.calls == [call]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\0" * 100, b'{"ask":"resume"}', b'{"ask":"hook","call":{}}', b"[" * 60_000, b" " * 100_000],
    ids=["empty", "half", "zeros", "another request", "no call", "deep", "too long"],
)
def test_what_is_no_call_is_taken_away_and_told_to_nobody(room, content):
    room.source.start()
    room.leave(1, content)
    call = room.leave(2)
    room.look()
    assert room.calls == [call]
    assert os.listdir(room.path) == []


def test_only_plain_files_of_ours_are_read(room, tmp_path):
    room.source.start()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(wire.encode(wire.Hook(HookCall("1-1", "claude", "Stop", 1.0))))
    (room.path / f"{1:020d}-1.json").symlink_to(elsewhere)
    os.mkfifo(room.path / f"{2:020d}-1.json")
    room.leave(3)
    (room.path / f"{3:020d}-7.json").chmod(0o666)
    room.look()
    assert room.calls == []
    assert elsewhere.exists()


def test_what_has_another_name_stays(room):
    room.source.start()
    for name in (".00000000000000000001-7.json", "notes.json", "1-7.json"):
        (room.path / name).write_text("{}")
    room.look()
    assert len(os.listdir(room.path)) == 3


def test_a_spool_that_cannot_be_read_is_said(room, tmp_path):
    room.path.write_text("")
    room.source.start()
    assert [event.source for event in room.degraded] == ["hook spool"]


def test_mercy_what_lies_where_a_symlink_leads_stays(room, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept = elsewhere / f"{1:020d}-7.json"
    kept.write_text("somebody's")
    room.path.symlink_to(elsewhere)
    room.source.start()
    assert kept.read_text() == "somebody's"
    assert [event.why for event in room.degraded] == ["the spool cannot be read: it is no directory of ours"]


def test_a_spool_that_was_open_to_others_takes_what_hooks_leave_again(room, tmp_path):
    room.path.mkdir()
    room.path.chmod(0o755)
    room.source.start()
    fire(tmp_path, "Stop")
    room.look()
    assert [call.event for call in room.calls] == ["Stop"]


def test_nothing_is_read_before_the_start_and_after_the_end(room):
    room.path.mkdir()
    room.leave(1)
    room.look()
    assert room.calls == []
    room.source.start()
    room.watches.now = [(str(room.path), True)]  # as its stop expects it
    room.source.stop()
    room.leave(2)
    room.look()
    assert len(room.calls) == 1
