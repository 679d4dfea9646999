"""`sentinel run`: as if the command were run without it, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel import instance, runs
from sentinel.cli import run as module
from sentinel.observe import processes
from tests.cli.standin import StandIn
from tests.handlers.room import dead, end_everything, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

ROOT = Path(__file__).parents[2]
HANG = 40
SENTINEL = (sys.executable, "-m", "sentinel", "run")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    end_everything()


@pytest.fixture
def environ(where):
    own = {f"SENTINEL_{name.upper()}_DIR": str(getattr(where, name)) for name in ("config", "state", "runtime")}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def run(environ):
    def run(*argv, **more):
        more = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "env": environ, **more}
        return subprocess.run([*SENTINEL, *argv], timeout=HANG, check=False, **more)

    return run


@pytest.fixture
def begin(environ):
    """Start a wrapper, and read the first line that its command says."""

    def begin(*argv, **more):
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environ, **more}
        wrapper = subprocess.Popen([*SENTINEL, *argv], stdin=subprocess.PIPE, start_new_session=True, **more)
        return wrapper, wrapper.stdout.readline().strip()

    return begin


@pytest.fixture
def agent(where):
    """A stand-in for the agent."""
    started = []

    def agent(answer=lambda request: {"session": "make-1@1"}):
        started.append(StandIn(where.inbox, answer))
        return started[-1]

    yield agent
    for it in started:
        it.close()


def python(script):
    return sys.executable, "-I", "-S", "-c", script


# -- as if it were not there -------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 3, 127, 255])
def test_the_exit_status_is_the_commands(run, status):
    assert run("--", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_dies_of_a_signal_has_the_wrapper_die_of_it(run, number):
    assert run("--", "sh", "-c", f"kill -{int(number)} $$").returncode == -number


def test_a_command_that_is_not_there_is_127(run, where):
    for name in ("no-such-command-at-all", "./no-such-file", "/etc/passwd/x"):
        done = run("--", name)
        assert done.returncode == 127
        assert done.stderr == f"sentinel: cannot run {name}: command not found\n"
    assert not where.runtime.joinpath("runs").exists()


def test_a_script_whose_interpreter_is_not_there_is_127(run, tmp_path, where):
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    done = run("--", str(tmp_path / "script"))
    assert done.returncode == 127
    assert done.stderr.endswith("No such file or directory\n")
    assert list(runs.marks(where.runtime)) == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--nmae", "api", "--", "true"), "--name"),
        (("--bogus", "--", "true"), "--bogus"),
        (("--name", "--", "true"), "--name wants a name"),
    ],
)
def test_an_option_before_the_command_is_ours_and_a_wrong_one_is_refused(run, where, argv, said):
    done = run(*argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert not where.runtime.joinpath("runs").exists()


def test_a_command_that_cannot_be_run_is_126(run, tmp_path, where):
    (tmp_path / "file\x1b[2J").write_text("")
    done = run("--", str(tmp_path / "file\x1b[2J"))
    assert done.returncode == 126
    assert "\x1b" not in done.stderr
    assert run("--", str(tmp_path)).returncode == 126
    assert list(runs.marks(where.runtime)) == []


def test_input_and_output_are_the_commands(run):
    done = run("--", "sh", "-c", "cat; echo wrong >&2", input="right\n", stdin=None)
    assert (done.stdout, done.stderr) == ("right\n", "wrong\n")


def test_options_after_the_command_are_the_commands(run):
    assert run("echo", "--name", "-n", "--help").stdout == "--name -n --help\n"
    assert run().returncode == 2


def test_the_command_knows_its_session(run):
    name, _, pid = run("--", "sh", "-c", "echo $SENTINEL_SESSION $PPID").stdout.partition(" ")[0].rpartition(":")
    assert name == "sh"
    assert int(pid) > 1
    said, parent = run("--name", "my server", "--", "sh", "-c", 'echo "$SENTINEL_SESSION"; echo $PPID').stdout.split(
        "\n"
    )[:2]
    assert said == f"my server:{parent}"


def test_no_descriptor_of_ours_gets_into_the_command(run):
    listing = python("import os; print(sorted(os.listdir('/proc/self/fd')))")
    plain = subprocess.run(listing, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    assert run("--", *listing).stdout == plain.stdout


def test_a_descriptor_that_was_meant_for_the_command_gets_there(run):
    read, write = os.pipe()
    assert run("--", *python(f"import os; os.write({write}, b'hello')"), pass_fds=(write,)).returncode == 0
    os.close(write)
    assert os.read(read, 10) == b"hello"
    os.close(read)


def ignored(status):
    """Signals that a process ignores, from its status file."""
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")), 16)
    return {number for number in range(1, 32) if mask >> number - 1 & 1}


def test_the_command_ignores_what_it_would_ignore_without_us(run, environ):
    assert ignored(run("--", "cat", "/proc/self/status").stdout) == set()
    script = f'trap "" HUP INT USR1; exec {sys.executable} -m sentinel run -- cat /proc/self/status'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environ, check=True, timeout=HANG)
    assert ignored(done.stdout) == {signal.SIGHUP, signal.SIGINT, signal.SIGUSR1}


def test_a_run_under_nohup_outlives_the_hang_up(environ):
    command = ["nohup", *SENTINEL, "--", "sh", "-c", "echo ready; read line; echo alive"]
    wrapper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)
    assert wrapper.stdout.readline() == "ready\n"
    wrapper.send_signal(signal.SIGHUP)
    assert wrapper.communicate("\n", timeout=HANG)[0] == "alive\n"
    assert wrapper.returncode == 0


TRAPS = """
import signal, sys
def got(number, _):
    print(signal.Signals(number).name, flush=True)
    sys.exit(40 + number)
for number in (1, 2, 10, 12, 15):
    signal.signal(number, got)
print("ready", flush=True)
signal.pause()
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_to_the_wrapper_is_one_to_the_command(begin, number):
    wrapper, _ = begin("--", *python(TRAPS))
    wrapper.send_signal(number)
    out, _ = wrapper.communicate(timeout=HANG)
    assert (out, wrapper.returncode) == (f"{number.name}\n", 40 + number)


def test_what_the_terminal_sends_to_both_is_not_doubled_and_does_not_end_the_wrapper(begin):
    wrapper, _ = begin("--", *python(TRAPS))
    for number in (signal.SIGINT, signal.SIGQUIT):
        wrapper.send_signal(number)
    time.sleep(0.1)
    assert wrapper.poll() is None
    wrapper.send_signal(signal.SIGTERM)
    assert wrapper.communicate(timeout=HANG)[0] == "SIGTERM\n"


def test_a_signal_that_comes_before_the_command_is_handed_on_to_it(where, monkeypatch):
    wrapper = module.Wrapper(where, "make")
    spawn = wrapper._spawn

    def spawns(*arguments):
        wrapper._forward(signal.SIGTERM, None)
        return spawn(*arguments)

    monkeypatch.setattr(wrapper, "_spawn", spawns)
    monkeypatch.setattr(module, "end_alike", lambda status: status)
    before = {number: signal.getsignal(number) for number in range(1, 32)}
    try:
        assert wrapper.run(("sleep", "60")) == signal.SIGTERM
    finally:
        for number in (*module._FORWARDED, *module._TERMINALS_OWN):
            signal.signal(number, before[number])


def test_a_signal_that_comes_after_the_command_reaches_nobody(where, monkeypatch):
    wrapper = module.Wrapper(where, "make")
    child = os.posix_spawnp("true", ["true"], {"PATH": os.environ["PATH"]})
    wrapper._child = child
    wrapper._wait(child)
    monkeypatch.setattr("sentinel.reaper.signals.forward", lambda *_: pytest.fail("it was handed on"))
    wrapper._forward(signal.SIGTERM, None)


def test_it_works_where_there_is_no_directory_any_more(environ, tmp_path):
    script = f'mkdir "$1"; cd "$1"; rmdir "$1"; exec {sys.executable} -m sentinel run -- sh -c "exit 4" 2>/dev/null'
    assert subprocess.run(["sh", "-c", script, "sh", str(tmp_path / "gone")], env=environ, check=False).returncode == 4


def test_it_works_in_a_directory_of_any_name(run, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\n\x1b"
    os.mkdir(odd)
    (Path(os.fsdecode(odd)) / "it\udcff").symlink_to("/bin/true")
    done = run("--", "./it\udcff", cwd=odd)
    assert (done.returncode, done.stderr) == (0, "")


# -- the mark ------------------------------------------------------------------------------------


def test_the_mark_is_there_while_the_command_runs(begin, where):
    wrapper, command = begin("--name", "shop", "--", "sh", "-c", "echo $$; read line")
    mark = until(lambda: (it := runs.read(where.runtime, wrapper.pid)) and it.command and it)
    assert mark == runs.Mark(
        processes.boot_id(), wrapper.pid, processes.identify(wrapper.pid).start, "shop", os.getcwd(), int(command)
    )
    wrapper.communicate("\n", timeout=HANG)
    assert os.listdir(where.runtime / "runs") == []


def test_a_mark_that_cannot_be_left_is_said_and_the_command_runs_all_the_same(run, where):
    (where.runtime / "runs").write_text("in the way")
    done = run("--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    assert "the session cannot be announced" in done.stderr


# -- without an agent ------------------------------------------------------------------------------


def left(run, script, **more):
    """Run a shell script that prints the pid of what it leaves. Returns the pid and what was done."""
    done = run("--", "sh", "-c", script, stderr=subprocess.PIPE, stdout=subprocess.PIPE, capture_output=False, **more)
    return int(done.stdout), done


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300 >/dev/null & echo $!",
        "(sleep 300 >/dev/null 2>&1 & echo $!)",  # twice forked: its parent is gone before the command
        "(sleep 300 & echo $!) | { read pid; echo $pid; }; exit 3",
        "setsid sh -c 'echo $$ > own; exec sleep 300 >/dev/null' & until test -s own; do sleep 0.01; done; cat own",
    ],
)
def test_what_the_command_left_is_ended(run, script, tmp_path):
    pid, done = left(run, script, cwd=tmp_path)
    assert dead(pid)
    assert done.returncode == (3 if "exit 3" in script else 0)
    assert "1 process ended" in done.stderr
    assert done.stderr.startswith('sentinel: "sh" ended ')


@pytest.mark.parametrize(
    "script",
    [
        "nohup sleep 300 </dev/null >/dev/null 2>&1 & pid=$!",
        "pid=$(setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!)",
    ],
)
def test_what_was_meant_to_stay_stays(run, script):
    pid, done = left(run, f"{script}; until grep -qx sleep /proc/$pid/comm; do sleep 0.01; done; echo $pid")
    assert not dead(pid)
    assert done.stderr == ""


def test_what_it_did_is_in_the_journal(run, where):
    left(run, "sleep 300 >/dev/null & echo $!; exit 3")
    types = [json.loads(line)["type"].removeprefix("dev.sentinel.") for line in where.journal.read_text().splitlines()]
    assert types == ["session.died", "action.intended", "session.judged", "cleanup.done"]


def test_a_configuration_that_cannot_be_read_costs_the_clean_up_and_not_the_status(run, where):
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("mode = 7")
    pid, done = left(run, "sleep 300 >/dev/null 2>&1 & echo $!; exit 3")
    assert not dead(pid)
    assert done.returncode == 3
    assert "what it left is not cleaned up" in done.stderr
    assert list(runs.marks(where.runtime)) == []


def test_a_mistyped_configuration_is_said_also_when_nothing_was_left_unless_an_agent_has_read_it(run, where, agent):
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("mode = 7")
    done = run("--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.startswith(f"sentinel: {where.config_file}:1: ")
    agent()
    assert run("--", "echo", "ran").stderr == ""


def test_other_processes_are_not_looked_at(run):
    bystander = subprocess.Popen(["sleep", "300"], start_new_session=True)
    left(run, "sleep 300 >/dev/null & echo $!")
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


# -- with an agent ----------------------------------------------------------------------------------


def test_an_agent_is_told_and_does_the_cleaning(run, agent):
    it = agent()
    pid, done = left(run, "sleep 300 >/dev/null 2>&1 & echo $!; sleep 0.1")
    assert not dead(pid)  # the stand-in cleans nothing
    assert done.stderr == ""
    assert [request["ask"] for request in it.asked] == ["register", "started", "leaving"]
    assert it.asked[2]["pids"] == [pid]


def test_an_agent_is_not_told_of_nothing(run, agent):
    it = agent()
    run("--", "true")
    assert [request["ask"] for request in it.asked] == ["register", "started"]


@pytest.mark.parametrize("answer", [None, b"nonsense", ValueError("it has no time")])
def test_an_agent_that_is_of_no_use_does_not_keep_the_command(run, agent, answer):
    agent(lambda _: answer)
    pid, done = left(run, "sleep 300 >/dev/null 2>&1 & echo $!; exit 3")
    assert done.returncode == 3
    assert dead(pid)
    if isinstance(answer, Exception):
        assert "sentinel: it has no time" in done.stderr


@pytest.mark.parametrize("answer", [None, b"nonsense", ValueError("it has no time")])
def test_an_agent_that_lives_and_does_not_answer_is_left_to_clean_up(run, agent, where, answer):
    """It may know what is to be spared here; who cleaned up alone ended others' work."""
    agent(lambda _: answer)
    with instance.claim(where):
        pid, done = left(run, "sleep 300 >/dev/null 2>&1 & echo $!; exit 3")
        assert not dead(pid)
    assert done.returncode == 3
