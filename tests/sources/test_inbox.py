"""Peers of every kind, and an inbox that none of them can harm."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel import wire
from sentinel.assembly import build
from sentinel.bus import Bus
from sentinel.core.events import HandlerFailed, MessageRefused
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.errors import SentinelError
from sentinel.handlers.enquiries import Condition
from sentinel.handlers.tmux_sessions import TmuxSessions
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.paths import Paths
from sentinel.sources import inbox
from sentinel.sources.inbox import Inbox

HANG = 20.0


class Office:
    """An inbox on a socket, what it published, and what went wrong behind its back."""

    def __init__(self, path, answer=lambda request, pid: {"asked": type(request).__name__, "pid": pid}):
        self.path = path
        self.events = []
        self.escaped = []
        self.answer = answer

    async def __aenter__(self):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.escaped.append(context))
        self.inbox = Inbox(Bus(lambda event, cause: self.events.append(event) or 0), self.path, self.answer)
        await self.inbox.start()
        return self

    async def __aexit__(self, *_):
        await self.inbox.close()
        await asyncio.sleep(0)
        gc.collect()  # an exception that nobody took is told of when its task goes

    async def say(self, frame, *, end=True):
        """What comes back for a frame; None when nothing does."""
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=2**22)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(frame)
                await writer.drain()
                if end:
                    writer.write_eof()
            line = await asyncio.wait_for(reader.readline(), HANG)
            return json.loads(line) if line else None
        except ConnectionError:
            return None
        finally:
            writer.close()

    @property
    def refused(self):
        return [event.why for event in self.events if type(event) is MessageRefused]


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(prefix="sentinel-") as directory:  # a socket's path is short
        yield Path(directory) / "inbox.sock"


def see(scenario):
    return asyncio.run(asyncio.wait_for(scenario, 3 * HANG))


def test_two_that_open_at_once_leave_the_umask_as_it_was(tmp_path):
    """The umask is the whole process's: what is awaited under it leaves the directories of others closed to us."""

    async def scenario():
        before = os.umask(0o022)
        offices = [Office(tmp_path / "a"), Office(tmp_path / "b")]
        try:
            await asyncio.gather(*(office.__aenter__() for office in offices))
            assert os.umask(0o022) == 0o022
        finally:
            os.umask(before)
            for office in offices:
                await office.__aexit__()
        assert not offices[0].escaped

    asyncio.run(scenario())


def test_a_peer_is_answered_and_known_by_the_kernel_s_word(path):
    async def scenario():
        async with Office(path) as office:
            return await office.say(b'{"ask":"status"}\n'), office

    reply, office = see(scenario())
    assert reply == {"ok": True, "data": {"asked": "Status", "pid": os.getpid()}, "error": "", "busy": False}
    assert (office.events, office.escaped) == ([], [])


def test_a_line_that_ends_with_the_connection_is_a_line(path):
    async def scenario():
        async with Office(path) as office:
            return await office.say(b'{"ask":"sessions"}')

    assert see(scenario())["data"]["asked"] == "Sessions"


def test_only_its_user_may_connect(path):
    async def scenario():
        before = os.umask(0)
        try:
            async with Office(path):
                return stat.S_IMODE(path.stat().st_mode), os.umask(0)
        finally:
            os.umask(before)

    assert see(scenario()) == (0o600, 0)


def test_a_leftover_of_the_last_agent_is_replaced_and_nothing_is_left_at_the_end(path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def scenario():
        async with Office(path) as office:
            return await office.say(b'{"ask":"status"}\n')

    assert see(scenario())["ok"]
    assert not path.exists()


def test_the_socket_of_another_agent_that_is_there_by_now_stays(path):
    async def scenario():
        async with Office(path):
            path.unlink()
            with socket.socket(socket.AF_UNIX) as another:
                another.bind(str(path))
        return path.exists()

    assert see(scenario())


def test_an_inbox_that_never_began_can_be_closed(path):
    see(Inbox(Bus(lambda *_: 0), path, lambda *_: None).close())


def test_another_user_is_refused(path):
    if (
        os.getuid() != 0
        or subprocess.run([sys.executable, "-c", "import os; os.setuid(65534)"], check=False).returncode
    ):
        pytest.skip("missing: root")
    script = (
        "import socket, sys; it = socket.socket(socket.AF_UNIX); it.connect(sys.argv[1]);"
        "print(it.makefile().readline())"
    )

    async def scenario():
        async with Office(path) as office:
            path.parent.chmod(0o755)
            path.chmod(0o666)  # as if the directory were open: the kernel's word is asked all the same
            command = [os.path.realpath(sys.executable), "-I", "-S", "-c", script, str(path)]
            stranger = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, user=65534, group=65534)
            said, _ = await stranger.communicate()
            return json.loads(said), office

    reply, office = see(scenario())
    assert reply == {"ok": False, "data": None, "error": "it is another user (uid 65534)", "busy": False}
    assert office.refused == ["it is another user (uid 65534)"]


@pytest.mark.parametrize(
    "frame",
    [
        b"hello\n",
        b"\0\0\0\n",
        b"\xff\xfe\n",
        b'{"ask":"kill","pid":1}\n',
        b'{"ask":"status","force":true}\n',
        b'{"ask":"status"',
        b'{"ask":"explain","what":"\\ud800"}\n',
        b"[" * 60_000 + b"\n",
        b'{"ask":"explain","what":' + b"[" * 60_000 + b"\n",
        b'{"ask":"status","x":' + b"[" * 60_000 + b"\n",
        b'{"x":' * 10_000 + b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=lambda frame: repr(frame[:24]),
)
def test_what_is_no_request_is_refused_in_a_sentence(path, frame):
    async def scenario():
        async with Office(path, lambda *_: pytest.fail("it was answered")) as office:
            return await office.say(frame), office

    reply, office = see(scenario())
    assert reply["ok"] is False
    assert reply["error"].startswith("its message cannot be read")
    assert len(office.refused) == 1
    assert office.refused[0].isprintable()
    assert office.escaped == []


def test_a_line_that_is_too_long_is_refused(path):
    async def scenario():
        async with Office(path) as office:
            await office.say(b"x" * (3 * wire.LIMIT))
            return office

    office = see(scenario())
    assert office.refused == [f"its message is longer than {wire.LIMIT} bytes"]
    assert office.escaped == []


def test_one_that_says_nothing_is_not_waited_for(path, monkeypatch):
    monkeypatch.setattr(inbox, "_PATIENCE", 0.1)

    async def scenario():
        async with Office(path) as office:
            return await office.say(b'{"ask":', end=False), office

    reply, office = see(scenario())
    assert reply["error"] == "it said nothing for 0.1 s"
    assert len(office.refused) == 1


def test_one_that_goes_without_a_word_is_nothing(path):
    async def scenario():
        async with Office(path) as office:
            return await office.say(b""), office

    reply, office = see(scenario())
    assert reply is None
    assert (office.events, office.escaped) == ([], [])


def test_one_that_goes_before_its_answer_harms_nobody(path):
    async def scenario():
        async with Office(path, lambda *_: "x" * 2_000_000) as office:
            for _ in range(10):
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.write(b'{"ask":"status"}\n')
                writer.transport.abort()
            reply = await office.say(b'{"ask":"status"}\n')
            return reply, office

    reply, office = see(scenario())
    assert len(reply["data"]) == 2_000_000
    assert office.escaped == []


def test_one_that_does_not_read_is_not_waited_for(path, monkeypatch):
    monkeypatch.setattr(inbox, "_PATIENCE", 0.1)

    async def scenario():
        async with Office(path, lambda *_: "x" * 2_000_000) as office:
            with socket.socket(socket.AF_UNIX) as deaf:
                deaf.connect(str(path))
                deaf.sendall(b'{"ask":"status"}\n')
                await asyncio.sleep(0.4)
                async with asyncio.timeout(HANG):
                    while office.inbox._peers:
                        await asyncio.sleep(0.01)
            return office

    assert see(scenario()).escaped == []


def connected(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(HANG)
    peer.connect(str(path))
    return peer


def ask(peer):
    """The answer; who was sent away has one too, though nobody listens any more."""
    with peer:
        with contextlib.suppress(BrokenPipeError):
            peer.sendall(b'{"ask":"status"}\n')
        return json.loads(peer.makefile().readline())


def test_of_forty_at_once_some_are_sent_away_and_all_get_an_answer(path, monkeypatch):
    monkeypatch.setattr(inbox, "_PATIENCE", HANG)

    async def scenario():
        async with Office(path) as office:
            peers = [connected(path) for _ in range(40)]
            while office.inbox._peers + len(office.refused) < 40:
                await asyncio.sleep(0.01)
            replies = await asyncio.to_thread(lambda: [ask(peer) for peer in peers])
            late = await office.say(b'{"ask":"status"}\n')
            return replies, late, office

    replies, late, office = see(scenario())
    assert sum(reply["ok"] for reply in replies) == 32
    assert {reply["error"] for reply in replies if not reply["ok"]} == {"more than 32 speak at once"}
    assert all(reply["ok"] or reply["busy"] for reply in replies)
    assert late["ok"]
    assert office.escaped == []


def test_a_refusal_of_the_answerer_is_passed_on_and_not_recorded(path):
    def answer(*_):
        raise SentinelError("no living session is called x")

    async def scenario():
        async with Office(path, answer) as office:
            return await office.say(b'{"ask":"explain","what":"x"}\n'), office

    reply, office = see(scenario())
    assert (reply["ok"], reply["error"]) == (False, "no living session is called x")
    assert office.events == []


@pytest.mark.parametrize("data", [None, "\udcff", object()])
def test_an_answerer_that_fails_is_recorded_and_the_next_peer_is_served(path, data):
    def answer(request, _):
        if isinstance(request, wire.Status):
            return "fine"
        if data is None:
            raise ZeroDivisionError("a test says so")
        return data  # something that cannot be sent

    async def scenario():
        async with Office(path, answer) as office:
            return await office.say(b'{"ask":"sessions"}\n'), await office.say(b'{"ask":"status"}\n'), office

    failed, fine, office = see(scenario())
    assert failed["ok"] is False
    assert fine["data"] == "fine"
    assert [(type(event), event.handler, event.event) for event in office.events] == [
        (HandlerFailed, "Inbox", "Sessions")
    ]
    assert office.escaped == []


# -- anything at all ---------------------------------------------------------------------------

WORDS = st.one_of(
    st.text(),
    st.sampled_from(
        ["1", "0", "-1", str(os.getpid()), "/etc/passwd", "../..", "\u00b2", "9" * 5000, "\x1b[2J", "\x00/"]
    ),
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=8,
)
REQUESTS = st.one_of(
    st.fixed_dictionaries(
        {"ask": st.sampled_from(["status", "sessions", "register", "nuke"])}, optional={"x": ANYTHING}
    ),
    st.fixed_dictionaries({"ask": st.just("explain"), "what": WORDS}),
    st.fixed_dictionaries({"ask": st.just("started"), "pid": st.one_of(st.integers(), ANYTHING)}),
    st.fixed_dictionaries({"ask": st.just("leaving"), "pids": st.one_of(st.lists(st.integers()), ANYTHING)}),
    st.fixed_dictionaries({"ask": ANYTHING}),
)
FRAMES = st.one_of(
    st.binary(max_size=200),
    ANYTHING.map(lambda data: json.dumps(data).encode()),
    REQUESTS.map(lambda data: json.dumps(data).encode()),
    REQUESTS.map(lambda data: json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    REQUESTS.map(lambda data: json.dumps(data).encode()[:-1]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(FRAMES, min_size=5, max_size=12))
def test_nothing_that_a_peer_says_gets_out_of_the_inbox_or_has_anything_done(frames):
    with tempfile.TemporaryDirectory(prefix="sentinel-") as directory:
        here = Path(directory)
        where = Paths(here / "c", here / "s", here / "r")
        where.state.mkdir()
        where.runtime.mkdir()
        journal = Journal(where.journal, processes.boot_id())
        ledger = Ledger()
        never = lambda *_: None  # noqa: E731 - a name for nothing
        bus = Bus(journal.record)
        core = build(where, Policy, bus=bus, ledger=ledger, journal=journal, later=never)
        enquiries = core.answering(TmuxSessions(bus, ledger), Condition("1", "polling"))

        async def scenario():
            async with Office(here / "i", enquiries) as office:
                replies = [await office.say(frame.replace(b"\n", b"") + b"\n") for frame in frames]
                assert (await office.say(b'{"ask":"status"}\n'))["ok"]
                return replies, office

        replies, office = see(scenario())
        journal.close()
        assert office.escaped == []
        assert all(isinstance(reply["ok"], bool) for reply in replies)
        assert {type(event) for event in office.events} <= {MessageRefused}
        assert where.journal.read_bytes() == b""  # nothing was intended, no session opened
        assert (len(ledger), len(core.handles)) == (0, 0)
        assert sorted(os.listdir(where.runtime)) == []


def test_who_goes_on_with_nonsense_does_not_fill_the_journal(path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(inbox, "time", SimpleNamespace(monotonic=lambda: now[0]))  # a minute is too long to wait for

    async def scenario():
        async with Office(path) as office:
            replies = [await office.say(b"nonsense\n") for _ in range(15)]
            now[0] += 61
            replies.append(await office.say(b"nonsense\n"))
            return replies, office

    replies, office = see(scenario())
    assert [reply["ok"] for reply in replies] == [False] * 16
    assert [event.unrecorded for event in office.events] == [0] * 10 + [5]
