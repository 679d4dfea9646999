import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from sentinel.cli import screen
from sentinel.cli.events import command
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import AgentStarted, AgentStopped, CleanedUp, Notified, SessionDied, SessionJudged
from sentinel.core.facts import Death, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Spared
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.journal import Journal

CLAUDE = Session(Kind.AGENT, "claude", ProcessId(4231, 7))
API = Session(Kind.RUN, "api", ProcessId(99, 8))


@pytest.fixture
def state(tmp_path, monkeypatch):
    directory = tmp_path / "state"
    monkeypatch.setenv("SENTINEL_STATE_DIR", str(directory))
    return directory


@pytest.fixture
def journal(state):
    state.mkdir(exist_ok=True)
    opened = Journal(state / "events.jsonl", "deadbeef")
    yield opened
    opened.close()


@pytest.fixture
def story(journal):
    """Seven records: 1 and 7 of the agent, 2-5 of claude, 6 of api."""
    journal.record(AgentStarted("0.1.0", "polling"))
    journal.record(SessionDied(CLAUDE, Death(1.0, 9)))
    spared = Spared(ProcessId(77, 1), "tmux", "it is a tmux server", name="tmux: server")
    journal.record(SessionJudged(CLAUDE, Death(1.0, 9), (spared,)), 2)
    journal.record(CleanedUp(CLAUDE, (Outcome("5@1", Result.ENDED, name="node"),), 0.004), 2)
    journal.record(Notified(CLAUDE.key, "claude was killed", shown=True), 4)
    journal.record(SessionDied(API, Death(1.0, 0)))
    journal.record(AgentStopped("it was told to"))
    return journal


def run(*options):
    return CliRunner().invoke(command, list(options))


def seqs(*options):
    done = run(*options, "-o", "json")
    assert done.exit_code == 0, done.output
    return [json.loads(line)["seq"] for line in done.stdout.splitlines()]


# -- what there is ------------------------------------------------------------------


def test_as_text(story):
    lines = run().stdout.splitlines()
    assert lines[1].endswith("  session.died       claude-4231 was killed by SIGKILL")
    assert lines[3] == "    pid 77 tmux: server: spared, it is a tmux server"
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_no_word_is_broken(story, monkeypatch):
    whole = run().stdout
    monkeypatch.setattr(screen, "width", lambda **_: 60)
    shown = run().stdout
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.split() == whole.split()


def test_as_json_it_is_the_line_of_the_file(story, state):
    assert run("-o", "json").stdout == (state / "events.jsonl").read_text()


def test_odd_characters_that_somebody_wrote_into_the_file_are_escaped(story, state):
    with (state / "events.jsonl").open("a") as file:
        file.write('{"seq":8,"type":"dev.sentinel.agent.stopped","data":{"why":"\x9b2J\u202e"}}\n')
    for output in ("json", "text"):
        shown = run("-o", output).stdout
        assert shown.replace("\n", "").isprintable()
        assert "2J" in shown


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [1, 2, 3, 4, 5, 6, 7]),
        (("-n", "2"), [6, 7]),
        (("-n", "0"), []),
        (("--type", "session.died"), [2, 6]),
        (("--type", "session"), [2, 3, 6]),
        (("--type", "session.*"), [2, 3, 6]),
        (("--type", "dev.sentinel.cleanup.done"), [4]),
        (("--type", "agent", "--type", "cleanup", "-n", "2"), [4, 7]),
        (("--session", "claude-4231"), [2, 3, 4, 5]),
        (("--session", "claude-4231@7"), [2, 3, 4, 5]),
        (("--session", "claude"), [2, 3, 4, 5]),
        (("--session", "claude", "--session", "api"), [2, 3, 4, 5, 6]),
        (("--session", "claude", "-n", "1"), [5]),
        (("--session", "claude", "--type", "agent"), []),
        (("--since", "1h ago"), [1, 2, 3, 4, 5, 6, 7]),
        (("--since", "1h ago", "-n", "1"), [7]),
        (("--since", "+1h"), []),
        (("--until", "1h ago"), []),
        (("--until", "+1h", "-n", "1"), [7]),
    ],
)
def test_one_sees_what_one_asked_for(story, options, expected):
    assert seqs(*options) == expected


def test_twenty_are_shown_unless_one_says_otherwise(journal):
    for _ in range(30):
        journal.record(AgentStopped(""))
    assert seqs() == list(range(11, 31))
    assert seqs("--since", "1h ago") == list(range(1, 31))


def test_since_and_until_meet_the_very_record(story):
    times = [json.loads(line)["time"] for line in run("-o", "json").stdout.splitlines()]
    assert seqs("--since", times[2], "--until", times[4]) == [3, 4, 5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--type", "sess"), "session.died"),
        (("--type", "nothing"), "cleanup.done"),
        (("--since", "whenever"), "is no time"),
        (("--until", "2026-99-99"), "--until"),
        (("-n", "-1"), "-1"),
        (("-n", "x"), "'x' is not a valid number"),
        (("-o", "yaml"), "json"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(story, options, said):
    done = run(*options)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_session_that_never_was_is_an_error(story):
    error = run("--session", "clade").exception
    assert isinstance(error, NoSuchThing)
    assert '"clade"' in str(error)


def test_without_a_history_there_is_nothing_to_show(state):
    done = run()
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no events yet" in done.stderr
    assert not state.exists()


def test_damaged_lines_are_counted(story, state):
    with (state / "events.jsonl").open("a") as file:
        file.write("junk\n")
    assert "damaged and were passed over: 1" in run().stderr


def test_newer_types_and_damaged_data_are_shown_as_they_are(journal, state):
    with (state / "events.jsonl").open("a") as file:
        file.write('{"seq":1,"type":"dev.sentinel.novel.thing","time":"soon","data":{"a":1}}\n')
        file.write('{"seq":2,"type":"dev.sentinel.session.died","data":[]}\n')
    lines = run().stdout.splitlines()
    assert lines[0].endswith('novel.thing {"a":1}')
    assert lines[1].startswith("at an unknown time  e2      session.died")


def test_a_cursor_file_goes_on_where_the_last_call_ended(story, tmp_path):
    cursor = ("--cursor-file", str(tmp_path / "cursor"))
    assert seqs(*cursor) == [1, 2, 3, 4, 5, 6, 7]
    assert seqs(*cursor) == []
    story.record(AgentStopped(""))
    story.record(SessionDied(API, Death(1.0, 0)))
    assert seqs(*cursor, "--type", "agent") == [8]
    assert seqs(*cursor) == []
    story.record(AgentStopped(""))
    story.record(AgentStopped(""))
    assert seqs(*cursor, "-n", "1") == [11]
    assert seqs(*cursor) == []


def test_a_cursor_file_of_something_else_is_refused(story, tmp_path):
    (tmp_path / "cursor").write_text("precious")
    assert isinstance(run("--cursor-file", str(tmp_path / "cursor")).exception, SentinelError)
    assert (tmp_path / "cursor").read_text() == "precious"


# -- what comes ---------------------------------------------------------------------

MAIN = "from sentinel.cli.events import command; command()"


class Follower:
    """A real ``sentinel events -f`` whose lines are read as they come."""

    def __init__(self, *options, before=""):
        self.process = subprocess.Popen(
            [sys.executable, "-c", before + MAIN, "--follow", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._text = b""

    def line(self):
        """The next line; an error after 20 s without one."""
        while b"\n" not in self._text:
            ready, _, _ = select.select([self.process.stdout], [], [], 20)
            assert ready, "no line came"
            block = os.read(self.process.stdout.fileno(), 65536)
            assert block, self.process.stderr.read()
            self._text += block
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def seqs(self, number):
        return [json.loads(self.line())["seq"] for _ in range(number)]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def follow():
    followers = []

    def start(*options, **how):
        followers.append(Follower(*options, "-o", "json", **how))
        return followers[-1]

    yield start
    for follower in followers:
        follower.end()


UNWATCHABLE = """
import watchdog.observers

class Refused:  # stands for a system without inotify instances: EMFILE cannot be had without harming others
    def schedule(self, *args, **options):
        raise OSError(24, "Too many open files")

watchdog.observers.Observer = Refused
"""


@pytest.mark.parametrize("before", ["", UNWATCHABLE], ids=["woken", "polling"])
def test_following_prints_the_last_and_then_what_comes(story, follow, before):
    follower = follow("-n", "2", before=before)
    assert follower.seqs(2) == [6, 7]
    for seq in (8, 9, 10):
        story.record(AgentStopped(""))
        assert follower.seqs(1) == [seq]


def test_following_shows_only_what_was_asked_for(story, follow):
    follower = follow("--session", "api")
    assert follower.seqs(1) == [6]
    story.record(SessionDied(CLAUDE, Death(1.0, 9)))
    story.record(SessionDied(API, Death(1.0, 9)))
    assert follower.seqs(1) == [9]


def test_following_begins_before_there_is_a_directory(state, follow):
    follower = follow()
    with pytest.raises(AssertionError, match="no line"):
        wait_briefly(follower)
    state.mkdir()
    journal = Journal(state / "events.jsonl", "deadbeef")
    journal.record(AgentStopped(""))
    assert follower.seqs(1) == [1]
    journal.record(AgentStopped(""))
    assert follower.seqs(1) == [2]
    journal.close()


def wait_briefly(follower):
    ready, _, _ = select.select([follower.process.stdout], [], [], 0.5)
    assert ready, "no line"


def test_following_survives_rotations(state, follow):
    state.mkdir()
    journal = Journal(state / "events.jsonl", "deadbeef", max_bytes=20_000)
    journal.record(AgentStopped(""))
    follower = follow()
    found = follower.seqs(1)
    for _ in range(20):
        for _ in range(100):
            seq = journal.record(AgentStopped(""))
        found += follower.seqs(seq - found[-1])
    journal.close()
    assert found == list(range(1, 2002))
    assert (state / "events.jsonl.4").exists()


def test_following_keeps_the_cursor_behind_what_it_printed(story, follow, tmp_path):
    cursor = ("--cursor-file", str(tmp_path / "cursor"))
    follower = follow(*cursor)
    assert follower.seqs(7) == [1, 2, 3, 4, 5, 6, 7]
    story.record(AgentStopped(""))
    assert follower.seqs(1) == [8]
    deadline = time.monotonic() + 20
    while json.loads((tmp_path / "cursor").read_text())["seq"] != 8:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    follower.end()
    story.record(AgentStopped(""))
    assert seqs(*cursor) == [9]


@pytest.mark.parametrize("until", ["1s ago", "+1s"])
def test_following_ends_when_the_time_has_come(story, follow, until):
    follower = follow("--until", until)
    assert follower.process.wait(20) == 0


def test_an_interrupt_ends_quietly(story, follow):
    follower = follow("-n", "1")
    follower.seqs(1)
    follower.process.send_signal(signal.SIGINT)
    assert follower.process.wait(20) == 130
    assert follower.process.stderr.read() == b""


@pytest.mark.parametrize("busy", [True, False])
def test_it_ends_quietly_when_nobody_reads_any_more(story, follow, busy):
    follower = follow("-n", "1")
    follower.seqs(1)
    follower.process.stdout.close()
    if busy:
        story.record(AgentStopped(""))
    assert follower.process.wait(20) == 0
    assert follower.process.stderr.read() == b""
    follower.process.stdout = None


def test_a_long_history_into_a_closed_pipe(journal):
    for _ in range(3000):
        journal.record(AgentStopped(""))
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "-n", "3000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_characters_that_the_terminal_does_not_have_are_escaped(journal):
    journal.record(AgentStopped("文"))
    environ = {**os.environ, "PYTHONIOENCODING": "iso-8859-1"}
    done = subprocess.run([sys.executable, "-c", MAIN], env=environ, check=True, capture_output=True)
    assert b"\\u6587" in done.stdout


# -- terminals ----------------------------------------------------------------------


@pytest.mark.parametrize(("no_color", "bold"), [("", True), ("1", False)])
def test_a_terminal_gets_bold_types_unless_no_color_is_set(story, no_color, bold):
    ours, theirs = os.openpty()
    environ = {**os.environ, "NO_COLOR": no_color}
    subprocess.run([sys.executable, "-c", MAIN, "-n", "1"], env=environ, stdout=theirs, check=True, timeout=20)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while block := os.read(ours, 4096):
            shown += block
    os.close(ours)
    assert (b"\x1b[1magent.stopped" in shown) is bold
    assert b"agent.stopped" in shown


def test_heavy_modules_are_imported_when_they_are_used():
    code = "import sys, sentinel.cli.events; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"msgspec", "watchdog", "psutil", "asyncio", "platformdirs", "json"} & set(done.stdout.split())
