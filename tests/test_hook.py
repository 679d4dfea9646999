"""The hook as coding agents run it: a process of its own, with a payload on its standard input."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sentinel import hook, runtime_dir, wire
from sentinel.core.facts import ProcessId
from sentinel.handlers.agent_hooks import MARKS
from sentinel.observe import processes
from tests.cli.standin import StandIn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

ROOT = Path(__file__).parents[1]
PAYLOADS = Path(__file__).parent / "payloads"
STOP = (PAYLOADS / "claude-Stop.json").read_bytes()


@pytest.fixture
def runtime(tmp_path):
    return tmp_path / "run"


PATIENT = "import sys; from sentinel import hook; hook._ANSWER = 20.0; hook.tell(sys.argv[1:])"
"""A hook that waits for whoever answers late: in 15 ms a busy machine may not have given our stand-in a turn."""


@pytest.fixture
def fire(runtime):
    """Fires a hook, and returns how that ended."""

    def fire(*words, payload=b"{}", program=("-m", "sentinel", "hook"), **environ):
        done = subprocess.run(
            [sys.executable, *program, *words],
            input=payload,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "SENTINEL_RUNTIME_DIR": str(runtime), **environ},
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    return fire


def left(runtime):
    """The calls in the spool, in their order."""
    return [wire.decode_request(file.read_bytes()).call for file in sorted((runtime / "spool").glob("*.json"))]


@pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.json")), ids=lambda file: file.stem)
def test_what_agents_really_send(fire, runtime, file):
    payload = json.loads(file.read_text())
    fire("claude", payload["hook_event_name"], payload=file.read_bytes())
    (call,) = left(runtime)
    assert (call.agent, call.event, call.trouble) == ("claude", payload["hook_event_name"], "")
    assert call.conversation == payload["session_id"]
    assert call.detail == payload.get("source", payload.get("reason", ""))


def test_what_it_says_of_its_world(fire, runtime):
    fire("claude", "Stop", payload=STOP, CLAUDE_PID="77", CODEX_THREAD_ID="", EDITOR="vi")
    (call,) = left(runtime)
    assert call.boot == processes.boot_id()
    assert call.chain[0] == processes.identify(os.getpid())
    assert call.chain == tuple(link.id for link in processes.chain(os.getpid()))[: len(call.chain)]
    assert call.marks == (("CLAUDE_PID", "77"),)
    assert call.tasks == ("npm run dev", "Review the parser")
    assert abs(call.at - time.time()) < 60


def test_its_marks_are_those_that_are_compared():
    assert set(hook.MARKS) == {name for names in MARKS.values() for name in names if name}


def test_an_agent_that_listens_is_told_and_the_spool_stays_empty(fire, runtime):
    runtime.mkdir(0o700)
    with closing(StandIn(runtime / "inbox.sock", lambda _: {"session": "claude-7@8"})) as inbox:
        payload = b'{"session_id": "0f8", "source": "resume"}'
        fire("claude", "SessionStart", payload=payload, program=("-c", PATIENT))
    (told,) = inbox.asked
    assert told["ask"] == "hook"
    assert (told["call"]["conversation"], told["call"]["detail"]) == ("0f8", "resume")
    assert not (runtime / "spool").exists()


def test_what_the_agent_refuses_waits_for_it(fire, runtime):
    runtime.mkdir(0o700)
    with closing(StandIn(runtime / "inbox.sock", lambda _: RuntimeError("more than 32 speak at once"))):
        fire("claude", "Stop")
    assert [call.event for call in left(runtime)] == ["Stop"]


def test_who_does_not_answer_in_time_finds_it_in_the_spool(fire, runtime):
    runtime.mkdir(0o700)
    with closing(StandIn(runtime / "inbox.sock", lambda _: time.sleep(1))):
        fire("claude", "Stop")
        assert [call.event for call in left(runtime)] == ["Stop"]


@pytest.mark.parametrize(
    ("payload", "trouble"),
    [
        (b"", "its payload is no JSON"),
        (b"{", "its payload is no JSON"),
        (b"\xff\xfe", "its payload is no JSON"),
        (b"[" * 60_000, "its payload is no JSON"),
        (b"[1]", "its payload is no JSON object"),
        (b'{"a": "' + b"x" * hook.LARGEST + b'"}', f"its payload is longer than {hook.LARGEST} bytes"),
        (b'{"a": "' + b"x" * 500_000 + b'"}', f"its payload is longer than {hook.LARGEST} bytes"),
    ],
    ids=["empty", "half", "no text", "deep", "a list", "too long", "much too long"],
)
def test_a_payload_that_says_nothing_is_told_all_the_same(fire, runtime, payload, trouble):
    fire("claude", "Stop", payload=payload)
    assert [(call.event, call.trouble) for call in left(runtime)] == [("Stop", trouble)]


def test_where_there_is_no_input_at_all_the_hook_is_told_all_the_same(runtime):
    environ = {"PATH": "/usr/bin:/bin", "SENTINEL_RUNTIME_DIR": str(runtime)}
    words = [sys.executable, "-m", "sentinel", "hook", "claude", "Stop"]
    subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *words], cwd=ROOT, env=environ, timeout=30, check=True)
    assert [call.event for call in left(runtime)] == ["Stop"]


def test_a_payload_that_never_ends_is_not_waited_for(runtime):
    waiting = subprocess.Popen(
        [sys.executable, "-m", "sentinel", "hook", "claude", "Stop"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        env={"SENTINEL_RUNTIME_DIR": str(runtime)},
    )
    try:
        assert waiting.wait(30) == 0
    finally:
        waiting.kill()
        waiting.communicate()
    assert [call.trouble for call in left(runtime)] == ["its payload did not come to an end"]


@pytest.mark.parametrize(
    "words", [(), ("claude",), ("x" * 5000, "y" * 5000), ("claude", "Stop", "--help"), ("--help",)]
)
def test_words_that_are_none_of_ours(fire, runtime, words):
    fire(*words)
    assert len(left(runtime)) == 1


def test_values_of_other_types_are_no_texts(fire, runtime):
    fire("claude", "Stop", payload=b'{"session_id": 7, "source": ["x"], "background_tasks": [1, {}, {"id": "z"}]}')
    (call,) = left(runtime)
    assert (call.conversation, call.detail, call.tasks) == ("", "", ("z",))


def test_halves_of_characters_do_no_harm(fire, runtime):
    fire("claude", "Stop", payload=b'{"session_id": "a\\ud800b"}', CLAUDE_PID="\udcff")
    (call,) = left(runtime)
    assert (call.conversation, call.marks) == ("a?b", (("CLAUDE_PID", "?"),))


def test_the_spool_is_for_its_user_alone_and_holds_so_much_and_no_more(fire, runtime):
    fire("claude", "first")
    spool = runtime / "spool"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (runtime, spool, *spool.iterdir())] == [0o700, 0o700, 0o600]
    for number in range(hook.ROOM):
        if number == hook.ROOM - 2:
            fire("claude", "still room")
            assert len(os.listdir(spool)) == hook.ROOM
        (spool / f"{time.time_ns():020d}-{number}.json").write_text("{}")
    fire("claude", "last")
    names = sorted(os.listdir(spool))
    assert len(names) == hook.ROOM
    assert json.loads((spool / names[-1]).read_text())["call"]["event"] == "last"
    assert "first" not in (spool / names[0]).read_text()


@pytest.mark.parametrize("how", ["link", "open", "file"])
def test_a_spool_that_others_could_have_laid_is_not_used(fire, runtime, tmp_path, how):
    runtime.mkdir(0o700)
    spool, elsewhere = runtime / "spool", tmp_path / "elsewhere"
    elsewhere.mkdir(0o700)
    match how:
        case "link":
            spool.symlink_to(elsewhere)
        case "open":
            spool.mkdir()
            spool.chmod(0o777)
        case "file":
            spool.write_text("")
    fire("claude", "Stop")
    assert os.listdir(elsewhere) == []
    assert spool.is_file() or os.listdir(spool) == []


def test_nowhere_to_leave_it_is_nobodys_trouble(fire, tmp_path):
    fire("claude", "Stop", SENTINEL_RUNTIME_DIR="relative")
    fire("claude", "Stop", SENTINEL_RUNTIME_DIR="/proc/nowhere")


FUZZ = """
import os, random, sys
from sentinel import hook, wire
from contextlib import closing
from pathlib import Path
random.seed(7)
seeds = [p.read_bytes() for p in Path(sys.argv[1]).glob("*.json")]
spool = Path(sys.argv[2], "spool")
said = os.memfd_create("said")
os.dup2(said, 1), os.dup2(said, 2)
def mangled():
    text = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 12)):
        at = random.randrange(len(text) + 1)
        match random.randrange(5):
            case 0: text[at:at + random.randint(1, 30)] = b""
            case 1: text[at:at] = random.randbytes(random.randint(1, 8))
            case 2: text[at:at] = random.choice([b'"', b"{", b"[", b"}", b"\\\\u", b"\\0", b"null", b"1e999", b"-"])
            case 3: text[at:at] = text[:random.randint(1, 200)]
            case 4: text = text[:at + 1]
    return bytes(text)
decodable = 0
for number in range(10_000):
    payload = os.memfd_create("payload")
    os.write(payload, mangled()), os.lseek(payload, 0, 0)
    os.dup2(payload, 0), os.close(payload)
    hook.tell(["claude", "Stop"])
    for file in spool.iterdir():
        assert type(wire.decode_request(file.read_bytes())) is wire.Hook
        file.unlink()
        decodable += 1
assert decodable == 10_000, decodable
os._exit(int(os.fstat(said).st_size > 0))
"""


def test_ten_thousand_malformed_payloads_in_silence(runtime):
    """In one process, for the start of each would take minutes; what may end a process is tried above."""
    script = [sys.executable, "-c", FUZZ, str(PAYLOADS), str(runtime)]
    environ = {"SENTINEL_RUNTIME_DIR": str(runtime), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(script, cwd=ROOT, env=environ, timeout=100, check=False)
    assert done.returncode == 0


def test_a_process_id_is_what_the_chain_is_made_of(fire, runtime):
    """Not a list that would never equal one: the agent compares."""
    fire("claude", "Stop")
    assert {type(link) for call in left(runtime) for link in call.chain} == {ProcessId}


def test_names_of_files_are_where_the_agent_looks():
    assert (runtime_dir.INBOX, runtime_dir.SPOOL) == ("inbox.sock", "spool")
