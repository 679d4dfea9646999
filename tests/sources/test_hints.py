"""The hints file: written by a real sh as a tmux hook would, told through the real file source."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SourceDegraded, TmuxHinted
from sentinel.sources.files import FileSource
from sentinel.sources.hints import HintSource

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: inotify")


class Watches:
    """Stands in for the file source where the reading is tested, not the watching."""

    def __init__(self):
        self.now = []

    def watch(self, directory, *, writes=False):
        self.now.append((directory, writes))
        return True

    def unwatch(self, directory):
        self.now.remove((directory, True))


class Room:
    """A hints file that is read when the test says so."""

    def __init__(self, directory):
        self.path = directory / "hints"
        self.bus = Bus(lambda _event, cause: cause)
        self.watches = Watches()
        self.source = HintSource(self.bus, self.watches, self.path)
        self.hooks, self.degraded = [], []
        self.bus.subscribe(TmuxHinted, lambda event: self.hooks.append(event.hook))
        self.bus.subscribe(SourceDegraded, self.degraded.append)

    def write(self, text):
        with open(self.path, "ab") as file:
            file.write(text)

    def heard(self, text=None):
        """What is told after ``text`` was written."""
        if text is not None:
            self.write(text)
        self.hooks.clear()
        self.bus.publish(FileChanged(str(self.path)))
        return list(self.hooks)


@pytest.fixture
def room(tmp_path):
    room = Room(tmp_path)
    room.source.start()
    return room


@asynccontextmanager
async def listening(path):
    """The source as the agent wires it."""
    bus = Bus(lambda _event, cause: cause)
    hooks, changes = [], []
    bus.subscribe(TmuxHinted, lambda event: hooks.append(event.hook))
    bus.subscribe(FileChanged, changes.append)
    files = FileSource(bus, asyncio.get_running_loop())
    source = HintSource(bus, files, path)
    files.start()
    source.start()
    try:
        yield hooks, changes
    finally:
        source.stop()
        files.stop()


async def until(true):
    """Wait for what must come; the bound only ends a test that hangs."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.005)


def hook(path, words):
    subprocess.run(["sh", "-c", f"echo {words} >> {path}"], check=True)


def test_what_a_hook_writes_is_told_and_the_reading_causes_no_further_event(tmp_path):
    path = tmp_path / "hints"

    async def scenario():
        async with listening(path) as (hooks, changes):
            hook(path, "session-closed 7")
            await until(lambda: hooks == ["session-closed"])
            hook(path, "pane-exited 7")
            await until(lambda: hooks == ["session-closed", "pane-exited"])
            changes.clear()
            await asyncio.sleep(0.3)
            assert changes == []

    asyncio.run(scenario())


def test_the_file_is_cut_when_it_grew_too_long_and_the_next_hint_is_heard(tmp_path):
    path = tmp_path / "hints"

    async def scenario():
        async with listening(path) as (hooks, changes):
            path.write_bytes(b"session-closed " + b"x" * 100 + b"\n")
            with path.open("ab") as file:
                file.write(b"session-closed 7\n" * 5000)
            await until(lambda: hooks and path.stat().st_size == 0)
            assert set(hooks) == {"session-closed"}
            hooks.clear()
            hook(path, "client-detached 7")
            await until(lambda: hooks == ["client-detached"])
            changes.clear()
            await asyncio.sleep(0.3)
            assert changes == []

    asyncio.run(scenario())


def test_hints_of_before_the_start_are_passed_over(tmp_path):
    room = Room(tmp_path)
    room.write(b"session-closed 7\n")
    room.source.start()
    assert room.hooks == []
    assert room.heard(b"pane-died 7\n") == ["pane-died"]


def test_nothing_is_told_before_the_start_or_after_the_stop(tmp_path):
    room = Room(tmp_path)
    assert room.heard(b"pane-died 7\n") == []
    room.source.start()
    assert room.watches.now == [(str(tmp_path), True)]
    room.source.stop()
    assert room.watches.now == []
    assert room.heard(b"pane-died 7\n") == []


def test_the_same_word_of_two_servers_is_told_of_both(room):
    seen = []
    room.bus.subscribe(TmuxHinted, seen.append)
    room.heard(b"pane-exited 7\npane-exited 8\npane-exited 7\n")
    assert seen == [TmuxHinted("pane-exited", 7), TmuxHinted("pane-exited", 8)]


def test_only_what_is_new_is_told_and_each_word_once(room):
    assert room.heard(b"pane-exited 7\nsession-closed 7\npane-exited 7\n") == ["pane-exited", "session-closed"]
    assert room.heard() == []
    assert room.heard(b"pane-exited 7\n") == ["pane-exited"]


def test_other_files_are_not_read(room):
    room.write(b"pane-exited 7\n")
    room.bus.publish(FileChanged(str(room.path) + "2"))
    assert room.hooks == []


def test_lost_events_are_answered_by_reading(room):
    room.write(b"pane-exited 7\n")
    room.bus.publish(EventsLost("files", "the queue overflowed"))
    assert room.hooks == ["pane-exited"]


def test_half_a_line_waits_for_the_rest(room):
    assert room.heard(b"session-cl") == []
    assert room.heard(b"osed 7") == []
    assert room.heard(b"\n") == ["session-closed"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" 7",
        b"Session-Closed 7",
        b"session closed 7",
        b"a" * 41 + b" 7",
        b"\x1b[31mpane 7",
        b"pane-exited",
        b"pane-exited ",
        b"pane-exited x7",
        b"pane-exited 7 $3",
        b"pane-exited 12345678901",
        b"\xff\xfe 7",
    ],
)
def test_a_line_that_no_hook_writes_is_passed_over(room, line):
    assert room.heard(line + b"\npane-died 7\n") == ["pane-died"]


@given(st.binary(max_size=300))
def test_garbage_never_raises_and_tells_words_only(tmp_path_factory, text):
    room = Room(tmp_path_factory.mktemp("garbage"))
    room.source.start()
    for hook in room.heard(text):
        assert 0 < len(hook) <= 40
        assert set(hook) <= set("abcdefghijklmnopqrstuvwxyz-")
    assert room.heard(b"\npane-died 7\n")[-1] == "pane-died"


def test_a_flood_is_read_from_its_end_and_the_cut_line_there_is_no_hint(room):
    flood = b"first-word 7\n" + b"x" * 8 + b" " + b"y" * 70_000 + b"\n" + b"pane-died 7\n"
    room.write(flood)
    assert room.heard() == ["pane-died"]
    assert room.path.stat().st_size == 0
    # The 64 KiB that are read begin inside this word, whose end looks like another one.
    room.write(b"ab-session-closed 7\n")
    room.write(b"z" * (64 * 1024 - len(b"closed 7\n") - 1) + b"\n")
    assert room.heard() == []


def test_what_has_no_end_of_line_is_not_kept_for_ever(room):
    assert room.heard(b"x" * 5000) == []
    assert room.heard(b"\npane-died 7\n") == ["pane-died"]
    assert room.heard(b"x" * 100_000) == []
    assert room.path.stat().st_size == 0


def test_a_file_that_was_cut_or_replaced_is_read_from_its_start(room):
    assert room.heard(b"x" * 50 + b"\npane-exited 7\n") == ["pane-exited"]
    os.truncate(room.path, 0)
    assert room.heard(b"pane-died 7\n") == ["pane-died"]
    room.path.rename(room.path.with_suffix(".old"))
    assert room.heard() == []
    assert room.heard(b"x" * 50 + b"\nclient-detached 7\n") == ["client-detached"]
    assert room.degraded == []


def test_a_line_that_came_while_the_file_was_read_is_not_cut_off(room, monkeypatch):
    read = os.pread

    def slowly(fd, count, start):
        text = read(fd, count, start)
        room.write(b"pane-died 7\n")
        return text

    monkeypatch.setattr(os, "pread", slowly)
    room.heard(b"pane-exited 7\n" * 6000)
    monkeypatch.undo()
    assert room.heard() == ["pane-died"]
    assert room.path.stat().st_size == 0


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "directory", "not ours"])
def test_what_is_no_plain_file_of_ours_is_refused_once_and_left_alone(room, tmp_path, kind):
    other = tmp_path / "other"
    other.write_bytes(b"pane-exited 7\n" * 10_000)
    match kind:
        case "symlink":
            room.path.symlink_to(other)
        case "hard link":
            os.link(other, room.path)
        case "fifo":
            os.mkfifo(room.path)
        case "directory":
            room.path.mkdir()
        case "not ours":
            if os.geteuid() != 0:
                pytest.skip("missing: root, who can give a file away")
            room.write(b"pane-exited 7\n" * 10_000)
            os.chown(room.path, 65534, 65534)
    assert room.heard() == []
    assert room.heard() == []
    assert other.stat().st_size == 140_000
    assert [event.source for event in room.degraded] == ["tmux hints"]
    assert "plain file" in room.degraded[0].why or kind == "symlink"
    if room.path.is_dir():
        room.path.rmdir()
    else:
        room.path.unlink()
    assert room.heard(b"pane-died 7\n") == ["pane-died"]
