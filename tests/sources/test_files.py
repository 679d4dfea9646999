"""Real directories, real kernel queues; where watchdog alone fails, that is shown beside it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileOpenedEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from sentinel.core.events import EventsLost, FileChanged, SourceDegraded
from sentinel.sources import files
from sentinel.sources.files import FileSource, best_watcher
from sentinel.sources.observer import ObserverWatcher, _Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: inotify")

MAX_QUEUED = Path("/proc/sys/fs/inotify/max_queued_events")
QUEUE = int(MAX_QUEUED.read_text()) if MAX_QUEUED.exists() else 0
fillable = pytest.mark.skipif(QUEUE > 100_000, reason="missing: a kernel queue that is soon full")
NOBODY = 65534


def portable_watcher(changed, _lost):
    """The one for macOS; watchdog's observer stands on inotify here."""
    return ObserverWatcher(changed)


@pytest.fixture(params=[best_watcher, portable_watcher], ids=["inotify", "portable"])
def watcher(request):
    return request.param


class Heard:
    """Stands in for the bus, which has tests of its own: keeps what is published."""

    def __init__(self):
        self.events = []
        self.threads = set()

    def publish(self, event):
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def paths(self):
        return [event.path for event in self.events if isinstance(event, FileChanged)]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def listening(watcher=best_watcher):
    heard = Heard()
    source = FileSource(heard, asyncio.get_running_loop(), watcher)
    source.start()
    try:
        yield source, heard
    finally:
        source.stop()


async def until(true):
    """Wait for what must come; the bound only ends a test that hangs."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.005)


async def settled(heard, directory):
    """Wait until everything that happened in ``directory`` before has been told."""
    mark = os.path.join(directory, f"mark-{len(heard.events)}")
    os.mkdir(mark)
    await until(lambda: mark in heard.paths())
    os.rmdir(mark)
    await asyncio.sleep(0.05)


@contextmanager
def plain_watchdog(directory, **options):
    """watchdog as one would use it: what its handler was told."""
    seen = []
    # The command line changes this for its own short life; here it would stay changed.
    InotifyMoveEventGrouper.delay = 0.5
    handler = FileSystemEventHandler()
    handler.on_any_event = seen.append
    observer = Observer()
    observer.schedule(handler, directory, **options)
    observer.start()
    try:
        yield seen, observer
    finally:
        observer.stop()
        observer.join()


# -- what is told -------------------------------------------------------------------


def test_what_appears_vanishes_or_is_renamed_is_told_in_the_loops_thread(tmp_path, watcher):
    async def scenario():
        async with listening(watcher) as (source, heard):
            assert source.watch(str(tmp_path))
            for act, paths in (
                ((tmp_path / "a").touch, ["a"]),
                (lambda: (tmp_path / "a").rename(tmp_path / "b"), ["a", "b"]),
                ((tmp_path / "b").unlink, ["b"]),
                ((tmp_path / "c").mkdir, ["c"]),
            ):
                heard.events.clear()
                act()
                await until(lambda paths=paths: {str(tmp_path / p) for p in paths} <= set(heard.paths()))
            assert heard.threads == {threading.get_ident()}

    asyncio.run(scenario())


def test_reading_and_writing_are_no_events_unless_asked_for(tmp_path, watcher):
    file = tmp_path / "file"
    file.write_text("here before")

    async def scenario():
        async with listening(watcher) as (source, heard):
            source.watch(str(tmp_path))
            file.read_text()
            file.write_text("again")
            list(tmp_path.iterdir())
            await settled(heard, tmp_path)
            assert str(file) not in heard.paths()

            assert source.watch(str(tmp_path), writes=True)  # another one's wish is wider
            with file.open("a") as opened:
                opened.write("a hint")
            await until(lambda: str(file) in heard.paths())
            (tmp_path / "new").mkdir()
            await until(lambda: str(tmp_path / "new") in heard.paths())

            heard.events.clear()
            file.read_text()
            await settled(heard, tmp_path)
            assert str(file) not in heard.paths()

    asyncio.run(scenario())


def test_watchdog_alone_tells_of_each_reading(tmp_path):
    file = tmp_path / "file"
    file.write_text("here before")
    with plain_watchdog(str(tmp_path)) as (seen, _):
        file.read_text()
        deadline = time.monotonic() + 20
        while not any(isinstance(event, FileOpenedEvent) for event in seen):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_rename_out_of_the_directory_holds_nothing_back(tmp_path):
    """watchdog alone holds what follows back for half a second: ours has told it all by then.

    A machine that is busy for half a second can hold ours back as long: so it gets some tries,
    and watchdog alone would need half a second in each of them.
    """
    assert any(tells_at_once(tmp_path / str(number)) for number in range(5))


def tells_at_once(place):
    watched, elsewhere = place / "watched", place / "elsewhere"
    place.mkdir()
    for directory in (watched, elsewhere):
        directory.mkdir()
    for name in ("a", "b"):
        (watched / name).touch()

    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(watched))
            with plain_watchdog(str(watched)) as (seen, _):
                (watched / "a").rename(elsewhere / "a")
                (watched / "b").unlink()
                await until(lambda: {str(watched / "a"), str(watched / "b")} <= set(heard.paths()))
                first = not any(event.src_path == str(watched / "b") for event in seen)
                await until(lambda: any(event.src_path == str(watched / "b") for event in seen))
                return first

    return asyncio.run(scenario())


def test_a_name_that_is_no_utf8_is_told_as_the_system_spells_it(tmp_path, watcher):
    name = os.fsencode(tmp_path) + b"/\xff\xfe\n"

    async def scenario():
        async with listening(watcher) as (source, heard):
            source.watch(str(tmp_path))
            os.mkdir(name)
            await until(heard.paths)
            assert os.fsencode(heard.paths()[0]) == name

    asyncio.run(scenario())


def test_paths_are_told_as_the_directory_was_spelled():
    """FSEvents resolves symlinks on the way; it cannot run here, so its events are handed in."""
    told = []
    with tempfile.TemporaryDirectory() as base:
        os.mkdir(f"{base}/real")
        os.symlink("real", f"{base}/link")
        real = os.path.realpath(f"{base}/real")
        listener = _Listener(f"{base}/link", told.append)
        listener.dispatch(FileCreatedEvent(f"{real}/socket"))
        listener.dispatch(FileMovedEvent(f"{real}/socket", f"{base}/elsewhere/socket"))
        listener.dispatch(FileCreatedEvent(f"{real}/below/socket"))
        listener.dispatch(FileClosedEvent(real))
        assert told == [f"{base}/link/socket", f"{base}/link/socket", f"{base}/link"]


# -- the watchers themselves, where the source asks before it calls them --------------


@contextmanager
def watching(watcher):
    told = []
    made = watcher(told.append, lambda: None)
    try:
        yield made, told
    finally:
        made.stop()


def wait(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def test_a_path_that_became_a_symlink_or_a_file_meanwhile_is_refused(tmp_path, watcher):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    with watching(watcher) as (made, _):
        for name in ("file", "link"):
            with pytest.raises(NotADirectoryError):
                made.add(str(tmp_path / name), writes=False)
            assert not made.holds(str(tmp_path / name))


def test_a_directory_that_is_gone_is_not_held_whoever_gets_its_inode(tmp_path, watcher):
    watched = tmp_path / "watched"
    watched.mkdir()
    with watching(watcher) as (made, told):
        made.add(str(watched), writes=False)
        assert made.holds(str(watched))
        watched.rmdir()
        watched.mkdir()
        wait(lambda: str(watched) in told and not made.holds(str(watched)))


@pytest.mark.parametrize("writes", [False, True])
def test_adding_again_takes_the_place_of_what_was_there(tmp_path, watcher, writes):
    (tmp_path / "mark").mkdir()
    with watching(watcher) as (made, told):
        made.add(str(tmp_path / "mark"), writes=False)
        made.add(str(tmp_path), writes=False)
        made.add(str(tmp_path), writes=writes)
        (tmp_path / "a").mkdir()
        wait(lambda: str(tmp_path / "a") in told)
        made.remove(str(tmp_path))
        (tmp_path / "b").mkdir()
        (tmp_path / "mark/a").mkdir()
        wait(lambda: str(tmp_path / "mark/a") in told)
        assert told.count(str(tmp_path / "a")) == 1
        assert str(tmp_path / "b") not in told


# -- wishes -------------------------------------------------------------------------


def test_a_directory_is_watched_until_the_last_wish_is_taken_back(tmp_path, watcher):
    other = tmp_path / "other"
    watched = tmp_path / "watched"
    other.mkdir()
    watched.mkdir()

    async def scenario():
        async with listening(watcher) as (source, heard):
            source.watch(str(other))
            assert source.watch(str(watched))
            assert source.watch(str(watched))
            source.unwatch(str(watched))
            (watched / "a").touch()
            await until(lambda: str(watched / "a") in heard.paths())
            source.unwatch(str(watched))
            source.unwatch(str(watched))
            (watched / "b").touch()
            await settled(heard, other)
            assert str(watched / "b") not in heard.paths()

    asyncio.run(scenario())


def test_two_spellings_of_a_directory_do_not_narrow_each_other(tmp_path):
    (tmp_path / "file").touch()
    there, again = str(tmp_path), f"{tmp_path}/."

    async def scenario():
        async with listening() as (source, heard):
            source.watch(there, writes=True)
            source.watch(again)
            (tmp_path / "file").write_text("a hint")
            await until(lambda: f"{there}/file" in heard.paths())
            await settled(heard, there)
            assert f"{again}/file" not in heard.paths()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["missing", "file", "symlink", "nul"])
def test_what_is_no_directory_is_not_watched_and_that_is_no_trouble(tmp_path, watcher, kind):
    path = tmp_path / "it"
    if kind == "file":
        path.touch()
    elif kind == "symlink":
        path.symlink_to(tmp_path)

    async def scenario():
        async with listening(watcher) as (source, heard):
            assert not source.watch("/tmp/a\0b" if kind == "nul" else str(path))  # noqa: S108 - never made
            source.check()
            assert heard.events == []

    asyncio.run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root, who can become somebody without rights")
def test_a_directory_that_may_not_be_read_is_not_taken_for_watched():
    base = tempfile.mkdtemp()
    os.chmod(base, 0o711)  # noqa: S103 - to be passed through
    os.mkdir(f"{base}/closed", 0o711)

    async def scenario():
        async with listening() as (source, _):
            os.seteuid(NOBODY)
            try:
                assert not source.watch(f"{base}/closed")
            finally:
                os.seteuid(0)
            source.check()
            assert source.watch(f"{base}/closed")

    try:
        asyncio.run(scenario())
    finally:
        shutil.rmtree(base)


def test_stopping_ends_the_thread_and_starting_again_takes_the_wishes_up(tmp_path, watcher):
    async def scenario():
        before = threading.active_count()
        async with listening(watcher) as (source, heard):
            assert threading.active_count() == before
            source.watch(str(tmp_path))
            assert threading.active_count() > before
            source._changed(str(tmp_path / "told too late"))
            source.stop()
            assert threading.active_count() == before
            await asyncio.sleep(0.05)
            assert heard.events == []
            source.start()
            (tmp_path / "a").touch()
            await until(lambda: heard.paths() == [str(tmp_path / "a")])

    asyncio.run(scenario())


# -- what it costs ------------------------------------------------------------------


def test_one_thread_watches_twenty_directories_and_sleeps(tmp_path):
    for number in range(20):
        (tmp_path / str(number)).mkdir()

    async def scenario():
        before = threading.active_count()
        async with listening() as (source, _):
            for number in range(20):
                assert source.watch(str(tmp_path / str(number)))
            assert threading.active_count() == before + 1
            thread = source._watcher._reader.native_id
            await until(lambda: about(thread, "State").startswith("S"))
            slept = switches(thread)
            await asyncio.sleep(1)
            assert switches(thread) == slept

    asyncio.run(scenario())


def switches(thread):
    """How often the thread went to sleep, so far."""
    return int(about(thread, "voluntary_ctxt_switches"))


def about(thread, name):
    """What the kernel says of a thread under that name."""
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    return next(line.partition(":")[2].strip() for line in status.splitlines() if line.startswith(name))


def test_thousands_of_directories_below_cost_nothing(tmp_path):
    """watchdog alone, recursive and unfiltered, burns a core for ever from 5,000 on."""
    for number in range(5000):
        (tmp_path / str(number)).mkdir()

    async def scenario():
        async with listening() as (source, heard):
            started = time.process_time()
            assert source.watch(str(tmp_path))
            await asyncio.sleep(1)
            assert time.process_time() - started < 0.5
            assert heard.events == []

    asyncio.run(scenario())


def test_a_storm_on_one_path_is_one_callback_and_few_events(tmp_path, monkeypatch):
    async def scenario():
        loop, calls = asyncio.get_running_loop(), []
        called = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda f, *a: (calls.append(f), called(f, *a)))
        async with listening() as (source, heard):
            source.watch(str(tmp_path))
            for _ in range(10_000):  # the loop cannot run meanwhile
                os.mkdir(tmp_path / "it")
                os.rmdir(tmp_path / "it")
            await settled(heard, tmp_path)
            assert len(calls) < 20
            assert 0 < heard.paths().count(str(tmp_path / "it")) < 20

    asyncio.run(scenario())


def test_batches_rest_between_them(tmp_path):
    async def scenario():
        async with listening() as (source, heard):
            began = time.monotonic()
            for _ in range(500):  # the loop turns as often, and could publish as often
                source._changed(str(tmp_path / "it"))
                await asyncio.sleep(0)
            assert len(heard.paths()) <= 2 + (time.monotonic() - began) / files._PAUSE

    asyncio.run(scenario())


def test_a_flood_of_paths_becomes_one_look_at_everything(tmp_path):
    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(tmp_path))
            for number in range(20_000):
                os.mkdir(tmp_path / str(number))
            await until(lambda: heard.of(EventsLost))
            await asyncio.sleep(0.3)
            assert len(heard.of(EventsLost)) == 1
            assert len(heard.paths()) < 10_000

    asyncio.run(scenario())


# -- what goes wrong ----------------------------------------------------------------


def overflow(directory):
    """More renames than the queue holds events of, while nobody reads it."""
    for number in range(QUEUE):
        os.rename(f"{directory}/{number % 2}", f"{directory}/{(number + 1) % 2}")


@fillable
def test_an_overflow_of_the_kernels_queue_is_told_once_and_nowhere_else(tmp_path, caplog):
    (tmp_path / "0").touch()
    (tmp_path / "others").mkdir()

    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(tmp_path))
            source.watch(str(tmp_path / "others"))
            with source._lock:  # the reader stands still at its first event
                overflow(tmp_path)
            await until(lambda: heard.of(EventsLost))
            assert str(tmp_path / "0") in heard.paths()
            await settled(heard, tmp_path)
            assert [(e.source, "overflow" in e.why) for e in heard.of(EventsLost)] == [("files", True)]

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.name.startswith("watchdog")]


@fillable
def test_watchdog_alone_says_nothing_of_an_overflow(tmp_path, caplog):
    caplog.set_level("WARNING", logger="watchdog")
    (tmp_path / "0").touch()
    with plain_watchdog(str(tmp_path)) as (seen, observer):
        with next(iter(observer.emitters))._inotify._lock:  # its reader stands still too
            overflow(tmp_path)
        deadline = time.monotonic() + 20
        while "overflow" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not any("overflow" in repr(event).lower() for event in seen)


def test_losses_are_told_once_a_second_at_most_and_after_the_last(tmp_path):
    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(tmp_path))
            began = time.monotonic()
            for _ in range(10):
                source._overflowed()
                await asyncio.sleep(0.01)
            assert len(heard.of(EventsLost)) == 1
            await until(lambda: len(heard.of(EventsLost)) == 2)
            assert time.monotonic() - began > 1
            await asyncio.sleep(0.1)
            assert len(heard.of(EventsLost)) == 2

    asyncio.run(scenario())


def test_a_directory_that_vanishes_is_told_and_taken_up_when_it_is_there_again(tmp_path, watcher):
    watched = tmp_path / "watched"
    watched.mkdir()

    async def scenario():
        async with listening(watcher) as (source, heard):
            source.watch(str(watched))
            watched.rmdir()
            await until(lambda: str(watched) in heard.paths())
            source.check()
            assert heard.of(EventsLost) == []
            watched.mkdir()
            source.check()
            await until(lambda: heard.of(EventsLost))  # things may have happened in it since
            (watched / "a").touch()
            await until(lambda: str(watched / "a") in heard.paths())

            shutil.rmtree(watched)
            await until(lambda: str(watched) in heard.paths()[2:])
            assert not source.watch(str(watched))
            watched.mkdir()
            assert source.watch(str(watched))
            heard.events.clear()
            (watched / "a").touch()
            await until(lambda: str(watched / "a") in heard.paths())

    asyncio.run(scenario())


def test_of_one_that_was_not_there_before_all_is_told_and_nothing_is_lost(tmp_path, watcher):
    """What `git init` makes in a project is no reason to look at everything, and to say so."""
    outer, inner = tmp_path / "tmp", tmp_path / "tmp" / "pids"

    async def scenario():
        async with listening(watcher) as (source, heard):
            assert source.watch(str(tmp_path))
            assert not source.watch(str(outer))
            assert not source.watch(str(inner))
            inner.mkdir(parents=True)
            (inner / "a.pid").touch()
            await until(lambda: str(inner / "a.pid") in heard.paths())
            (inner / "b.pid").touch()
            await until(lambda: str(inner / "b.pid") in heard.paths())
            source.check()
            await asyncio.sleep(0.05)
            assert heard.of(EventsLost) == []
            shutil.rmtree(outer)  # once it was there, somebody may know what it held
            await until(lambda: str(outer) in heard.paths())
            outer.mkdir()
            await until(lambda: heard.of(EventsLost))

    asyncio.run(scenario())


def test_a_directory_replaced_while_a_process_works_in_it_is_found_by_the_check(tmp_path):
    """The kernel tells nothing: the old one lives until the process leaves it."""
    watched = tmp_path / "watched"
    watched.mkdir()

    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(watched))
            inside = [subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd=watched)]
            try:
                watched.rmdir()
                watched.mkdir()
                await asyncio.sleep(0.05)
                assert heard.events == []
                source.check()
                await until(lambda: heard.of(EventsLost))
                (watched / "a").touch()
                await until(lambda: str(watched / "a") in heard.paths())

                inside.append(subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd=watched))
                shutil.rmtree(watched)
                source.check()
                await until(lambda: str(watched) in heard.paths())
            finally:
                for process in inside:
                    process.communicate()

    asyncio.run(scenario())


def test_a_directory_that_was_moved_away_is_told_and_no_longer_watched(tmp_path):
    watched, elsewhere, other = tmp_path / "watched", tmp_path / "elsewhere", tmp_path / "other"
    watched.mkdir()
    other.mkdir()

    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(watched))
            source.watch(str(other))
            watched.rename(elsewhere)
            await until(lambda: str(watched) in heard.paths())
            (elsewhere / "a").touch()
            await settled(heard, other)
            assert str(watched / "a") not in heard.paths()

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_replaced_and_that_is_said_once(tmp_path, monkeypatch):
    async def scenario():
        async with listening() as (source, heard):
            source.watch(str(tmp_path))
            for number in range(2):
                reader = source._watcher._reader
                monkeypatch.setattr(reader, "handle_event", lambda _: 1 / 0)
                (tmp_path / f"fatal-{number}").touch()
                await until(lambda reader=reader: not reader.is_alive())
                if number:
                    source.watch(str(tmp_path))
                else:
                    source.check()
                (tmp_path / f"a-{number}").touch()
                await until(lambda number=number: str(tmp_path / f"a-{number}") in heard.paths())
                await until(lambda number=number: len(heard.of(EventsLost)) == number + 1)
            assert len(heard.of(SourceDegraded)) == 1

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_portable_observer_is_replaced_when_a_thread_of_it_dies(tmp_path):
    async def scenario():
        async with listening(portable_watcher) as (source, heard):
            source.watch(str(tmp_path))
            source._watcher._observer.event_queue.put(None)  # watchdog cannot unpack it
            await until(lambda: not source._watcher.alive())
            source.check()
            (tmp_path / "a").touch()
            await until(lambda: str(tmp_path / "a") in heard.paths())

            next(iter(source._watcher._observer.emitters)).stop()
            await until(lambda: not source._watcher.holds(str(tmp_path)))
            source.check()
            (tmp_path / "b").touch()
            await until(lambda: str(tmp_path / "b") in heard.paths())
            assert len(heard.of(SourceDegraded)) == 1

    asyncio.run(scenario())


LIMITED = """
import asyncio, json, os, resource, sys
from sentinel.sources.files import FileSource

class Heard(list):
    publish = list.append

async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)

async def main(base, scarce):
    heard = Heard()
    paths = lambda: [event.path for event in heard if type(event).__name__ == "FileChanged"]
    source = FileSource(heard, asyncio.get_running_loop())
    source.start()
    if scarce == "files":
        lowest = os.dup(0)
        os.close(lowest)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    watched = [source.watch(f"{base}/{number}") for number in range(10)]
    for number in range(10):
        os.mkdir(f"{base}/{number}/a")
    await until(lambda: len(paths()) >= sum(watched))
    told = len(paths())
    if scarce == "files":
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    else:
        for number in range(5):
            source.unwatch(f"{base}/{number}")
    source.check()
    os.mkdir(f"{base}/9/b")
    await until(lambda: f"{base}/9/b" in paths())  # it is watched by now
    said = [event.why for event in heard if type(event).__name__ == "SourceDegraded"]
    source.stop()
    print(json.dumps({"watched": watched, "told": told, "said": said}))

asyncio.run(main(*sys.argv[1:]))
"""


def limited(tmp_path, scarce, *before):
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    command = [*before, sys.executable, "-c", LIMITED, str(tmp_path), scarce]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_limit_of_eight_watches_is_said_once_and_the_rest_goes_on(tmp_path):
    lower = 'echo 8 > /proc/sys/user/max_inotify_watches && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "sh", "-c", lower, "sh"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("missing: user namespaces")
    result = limited(tmp_path, "watches", *namespace)
    assert result["watched"] == [True] * 8 + [False] * 2
    assert result["told"] == 8
    assert len(result["said"]) == 1
    assert "max_user_watches" in result["said"][0]


def test_no_descriptor_left_is_said_once_and_mended_by_a_later_check(tmp_path):
    result = limited(tmp_path, "files")
    assert result["watched"] == [False] * 10
    assert len(result["said"]) == 1
    assert "open files" in result["said"][0]
