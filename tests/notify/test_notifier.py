from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from sentinel.notify import Delivery, Message, Notifier, delivery
from sentinel.notify.desktop import Desktop

SHOWN = Delivery(shown=True, by="desktop (notify-send)")
STOPPING = Delivery(shown=False, why="Sentinel is stopping")
LONG = 60.0
HANG = f"time.sleep({LONG})"


def notifier(machine, deadline: float = 30, **more) -> Notifier:
    return Notifier([Desktop(deadline=deadline, environ=machine.environ)], **more)


def one(machine, title: str = "Sentinel", body: str = "hello", deadline: float = 30) -> Delivery:
    return asyncio.run(notifier(machine, deadline).send(Message(title, body)))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def ended(pid: int) -> bool:
    """Gone, or dead and not ours to reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def until(true) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def test_the_text_arrives_and_the_answer_says_so(machine):
    assert one(machine, "Sentinel: claude", "two lines\nof text") == SHOWN
    assert machine.told == [("Sentinel: claude", "two lines\nof text")]


def test_without_a_bus_nothing_is_started(machine):
    del machine.environ["XDG_RUNTIME_DIR"]
    machine.environ["DISPLAY"] = ":0"  # what libdbus would launch a bus of its own for
    assert one(machine) == Delivery(shown=False, why="this log-in has no desktop (no D-Bus session bus)")
    assert machine.pids == []


def test_the_bus_that_was_found_is_named_so_that_no_other_is_launched(machine):
    machine.notify_send("open(sys.argv[0] + '.env', 'w').write(os.environ['DBUS_SESSION_BUS_ADDRESS'])")
    machine.environ["DBUS_SESSION_BUS_ADDRESS"] = "autolaunch:"
    assert one(machine).shown
    assert (machine.root / "bin" / "notify-send.env").read_text() == f"unix:path={machine.root}/bus"


def test_the_worker_is_out_of_the_way_of_terminal_and_directory(machine):
    machine.notify_send("open(sys.argv[0] + '.place', 'w').write(repr((os.getsid(0) == os.getpid(), os.getcwd())))")
    assert one(machine).shown
    assert (machine.root / "bin" / "notify-send.place").read_text() == "(True, '/')"


def test_a_locale_without_unicode_is_no_obstacle(machine):
    # What Python does by itself about the C locale is switched off: Latin-1 locales get no such help.
    machine.environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert one(machine, body="\u2026") == SHOWN
    assert machine.told == [("Sentinel", "\u2026")]


@pytest.mark.parametrize(
    ("then", "why"),
    [
        ("sys.exit('Could not connect: No such file or directory')", "Could not connect: No such file or directory"),
        ("sys.exit('noise\\n\\x1b[31mred\\n')", r"\x1b[31mred"),
        ("sys.exit(7)", "the notifier ended with status 7"),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", "the notifier was ended by SIGSEGV"),
        (
            "sys.exit('GDBus.Error:org.freedesktop.DBus.Error.ServiceUnknown: The name was not provided')",
            "no notification service runs (nobody owns org.freedesktop.Notifications)",
        ),
    ],
)
def test_a_failure_is_no_success(machine, then, why):
    machine.notify_send(then)
    assert one(machine) == Delivery(shown=False, why=why)


def test_a_worker_that_cannot_start_is_an_answer(machine, monkeypatch):
    monkeypatch.setattr(delivery, "COMMAND", (str(machine.root / "no-python"),))
    assert one(machine).why.startswith("it failed: ")


def test_a_worker_that_breaks_down_is_an_answer(machine, monkeypatch):
    monkeypatch.setattr(delivery, "COMMAND", (sys.executable, "-P", "-m", "sentinel.no_such_module"))
    assert "No module named sentinel.no_such_module" in one(machine).why


def test_nothing_reaches_the_terminal(machine, capfd):
    machine.notify_send("print('out'); sys.exit('err')")
    one(machine)
    assert capfd.readouterr() == ("", "")


def test_one_that_hangs_is_ended_at_the_deadline_and_leaves_nothing(machine):
    machine.notify_send(HANG)

    async def attempt(deadline: float) -> Delivery:
        asked = notifier(machine, deadline=deadline)
        answer = await asked.send(Message("Sentinel", "hello"))
        assert all(map(gone, machine.pids))  # a zombie would still have its number
        return answer

    started = time.monotonic()
    for deadline in (1, 4, 16):
        why = f"no answer from the desktop within {deadline} s"
        assert asyncio.run(attempt(deadline)) == Delivery(shown=False, why=why)
        if machine.pids:  # the worker itself: it became notify-send. On a busy machine that takes longer
            break
    assert len(machine.pids) == 1
    assert time.monotonic() - started < LONG / 2


def test_something_left_with_our_pipes_open_does_not_hold_us_up(machine):
    # A notify-send that is a script may start what it likes, and that keeps its stderr.
    machine.notify_send(
        f"import subprocess; p = subprocess.Popen([sys.executable, '-c', 'import time; {HANG}']);"
        "open(sys.argv[0] + '.pid', 'w').write(str(p.pid))"
    )
    started = time.monotonic()
    try:
        assert one(machine).shown
        assert time.monotonic() - started < LONG / 2
    finally:
        psutil.Process(int((machine.root / "bin" / "notify-send.pid").read_text())).kill()


def test_of_a_thousand_at_once_the_last_eight_are_shown_in_order(machine):
    async def burst() -> list[Delivery]:
        asked = notifier(machine)
        return await asyncio.gather(*(asked.send(Message("Sentinel", f"number {n}")) for n in range(1000)))

    deliveries = asyncio.run(burst())
    assert deliveries[-8:] == [SHOWN] * 8
    assert set(deliveries[:-8]) == {Delivery(shown=False, why="too many at once")}
    assert machine.told == [("Sentinel", f"number {n}") for n in range(992, 1000)]


def test_they_are_shown_one_at_a_time(machine):
    machine.notify_send(
        "import time; open(sys.argv[0] + '.lock', 'x'); time.sleep(.05); os.unlink(sys.argv[0] + '.lock')"
    )

    async def three() -> list[Delivery]:
        asked = notifier(machine)
        return await asyncio.gather(*(asked.send(Message("Sentinel", str(n))) for n in range(3)))

    assert asyncio.run(three()) == [SHOWN] * 3


def test_after_three_failures_nothing_is_started_for_a_minute(machine):
    machine.notify_send("sys.exit('broken')")
    now = 0.0

    async def run() -> None:
        nonlocal now
        asked = notifier(machine, clock=lambda: now)
        for _ in range(3):
            assert (await asked.send(Message("Sentinel", "hello"))).why == "broken"
        assert (await asked.send(Message("Sentinel", "hello"))).why.startswith(
            "notifications failed 3 times, next try at "
        )
        assert len(machine.pids) == 3
        machine.notify_send()
        now += 60
        assert (await asked.send(Message("Sentinel", "hello"))).shown

    asyncio.run(run())


class Signpost:
    """A way that leads nowhere, or to a person who is always there."""

    def __init__(self, name, why="", obstacle="", error=None):
        self.name, self.why, self._obstacle, self._error = name, why, obstacle, error
        self.tried = 0

    def obstacle(self):
        return self._obstacle

    async def show(self, message):
        self.tried += 1
        if self._error:
            raise self._error
        return Delivery(shown=not self.why, why=self.why, by="" if self.why else self.name)


def by_way_of(*ways, times=1):
    async def send():
        asked = Notifier(ways)
        return [await asked.send(Message("Sentinel", "hello")) for _ in range(times)]

    return asyncio.run(send())[-1]


def test_the_first_way_that_works_is_taken_and_no_other():
    ways = [Signpost("desktop", obstacle="no bus"), Signpost("tmux"), Signpost("terminal")]
    assert by_way_of(*ways) == Delivery(shown=True, by="tmux")
    assert [way.tried for way in ways] == [0, 1, 0]


def test_where_no_way_leads_anywhere_it_says_why_of_each():
    ways = [
        Signpost("desktop", obstacle="no bus"),
        Signpost("tmux", why="no client"),
        Signpost("a", error=OSError(9)),
    ]
    assert by_way_of(*ways).why == "desktop: no bus; tmux: no client; a: it failed: 9"
    assert by_way_of().why == "no way to you is configured"


def test_each_way_has_a_breaker_of_its_own():
    broken, obstructed, fine = Signpost("a", why="hung"), Signpost("b", obstacle="none runs"), Signpost("c")
    assert by_way_of(broken, obstructed, fine, times=5).shown
    assert (broken.tried, obstructed.tried, fine.tried) == (3, 0, 5)


def test_what_is_urgent_stays_until_it_is_seen(machine):
    async def both():
        asked = notifier(machine)
        await asked.send(Message("Sentinel", "a"))
        await asked.send(Message("Sentinel", "b", urgent=True))

    asyncio.run(both())
    assert machine.options == [["--app-name=Sentinel", "--"], ["--app-name=Sentinel", "--urgency=critical", "--"]]


def test_a_missing_desktop_does_not_trip_the_breaker(machine):
    runtime = machine.environ.pop("XDG_RUNTIME_DIR")

    async def run() -> None:
        asked = notifier(machine)
        for _ in range(5):
            assert not (await asked.send(Message("Sentinel", "hello"))).shown
        machine.environ["XDG_RUNTIME_DIR"] = runtime  # the person logs in
        assert (await asked.send(Message("Sentinel", "hello"))).shown

    asyncio.run(run())


def test_closing_ends_the_worker_and_answers_everybody(machine):
    machine.notify_send(HANG)

    async def run() -> None:
        asked = notifier(machine)
        sends = [asyncio.create_task(asked.send(Message("Sentinel", str(n)))) for n in range(3)]
        await until(lambda: machine.pids)
        await asked.close()
        assert await asyncio.gather(*sends) == [STOPPING] * 3
        [pid] = machine.pids
        assert gone(pid)
        assert await asked.send(Message("Sentinel", "late")) == STOPPING
        await asked.close()

    asyncio.run(run())


def test_closing_before_anything_ran_answers_too(machine):
    async def run() -> None:
        asked = notifier(machine)
        await asked.close()
        asked = notifier(machine)
        send = asyncio.create_task(asked.send(Message("Sentinel", "hello")))
        await asyncio.sleep(0)
        await asked.close()
        assert await send == STOPPING

    asyncio.run(run())
    assert machine.pids == []


def test_who_asked_may_go_away(machine):
    go = machine.root / "go"
    machine.notify_send(f"while not os.path.exists({str(go)!r}): time.sleep(.01)")

    async def run() -> None:
        asked = notifier(machine)
        sends = [asyncio.create_task(asked.send(Message("Sentinel", str(n)))) for n in range(3)]
        await until(lambda: machine.pids)
        sends[0].cancel()
        sends[1].cancel()
        go.touch()
        assert (await sends[2]).shown

    asyncio.run(run())
    assert machine.told == [("Sentinel", "0"), ("Sentinel", "2")]  # nobody waits for the second: not started


def test_afterwards_nothing_is_left_running(machine):
    machine.notify_send("sys.exit(len(sys.argv[-1]) > 2)")

    async def run() -> None:
        asked = notifier(machine)
        before = len(os.listdir("/proc/self/fd"))
        for text in ("ok", "too long"):
            await asked.send(Message("Sentinel", text))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert len(os.listdir("/proc/self/fd")) == before
        await until(lambda: threading.active_count() == 1)  # asyncio's waiter for the child, on Python < 3.12
        assert all(gone(pid) for pid in machine.pids)

    asyncio.run(run())


def test_the_worker_dies_with_the_agent(machine):
    machine.notify_send(HANG)
    send = "asyncio.run(Notifier([Desktop(deadline=60)]).send(Message('Sentinel', 'hello')))"
    imports = "from sentinel.notify import Notifier, Message; from sentinel.notify.desktop import Desktop"
    program = f"import asyncio; {imports}; {send}"

    async def run() -> None:
        try:
            await until(lambda: machine.pids)
        finally:
            agent.kill()
        [worker] = machine.pids
        await until(lambda: ended(worker))

    with subprocess.Popen([sys.executable, "-c", program], env=machine.environ) as agent:
        asyncio.run(run())


def test_the_agent_pays_no_import_for_it(tmp_path: Path):
    heavy = {"plyer", "dbus", "ctypes", "json", "psutil", "sentinel.notify_worker"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys, sentinel.notify; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sentinel.notify.notifier" in done.stdout.split()
    assert heavy.isdisjoint(done.stdout.split())
