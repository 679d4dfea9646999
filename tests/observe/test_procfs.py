from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.observe import processes, procfs
from tests.handlers.room import becomes, until
from tests.observe.conftest import answers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def child():
    """A process of our own that does nothing until its input ends."""
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    becomes(process.pid, "cat")
    yield process
    process.stdin.close()
    process.wait()


def test_a_process_is_seen_as_what_it_is(child):
    facts = processes.look(child.pid)
    assert isinstance(facts, ProcessFacts)
    assert (facts.id.pid, facts.parent, facts.name, facts.uid) == (child.pid, os.getpid(), "cat", os.getuid())
    assert facts.group == os.getpgid(child.pid)
    assert facts.session == os.getsid(child.pid)
    assert not facts.dead
    assert not facts.kernel_thread
    assert not facts.foreign_namespace


def test_its_memory_is_told_by_the_same_look():
    facts = processes.look(os.getpid())
    assert isinstance(facts, ProcessFacts)
    assert facts.memory == pytest.approx(processes.memory(os.getpid()), abs=1 << 20)


def test_a_copy_is_told_from_what_has_replaced_its_program(child):
    assert processes.only_forked(child.pid) is False
    told, tell = os.pipe()
    copy = os.fork()
    if copy == 0:
        os.read(told, 1)
        os._exit(0)
    assert processes.only_forked(copy) is True
    os.write(tell, b"!")
    os.waitpid(copy, 0)
    os.close(told)
    os.close(tell)
    assert isinstance(processes.only_forked(copy), Unknown)


def test_one_has_ended_that_is_a_zombie_or_whose_number_is_anothers_and_nobody_of_whom_nothing_is_known(monkeypatch):
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    who = processes.identify(child.pid)
    assert processes.ended(who) is False
    assert processes.ended(ProcessId(child.pid, who.start - 1)) is True
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.above(child.pid).dead
    assert processes.ended(who) is True
    child.wait()
    assert processes.ended(who) is True
    monkeypatch.setattr(processes, "above", lambda pid: Unknown(f"what {pid} is", "a test says so"))
    assert isinstance(processes.ended(who), Unknown)


def test_one_whose_first_thread_has_ended_goes_on_until_the_last_has():
    script = (
        "import ctypes, sys, threading; threading.Thread(target=sys.stdin.read).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", script], stdin=subprocess.PIPE)
    who = processes.identify(child.pid)
    until(lambda: procfs._stat(child.pid).state == "Z")
    assert processes.ended(who) is False
    until(lambda: processes.look(child.pid).state == "S")  # as the others
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: processes.look(child.pid).state == "T")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.ended(who) is True
    child.stdin.close()
    child.wait()


RELEASED = {
    "stat": b"%d (exe) X 0 -1 -1 0 -1 4228108 4381 0 1 0 3 3 0 0 30 10 0 0 %d 0 0" + b" 0" * 29 + b"\n",
    "status": b"Name:\texe\nState:\tX (dead)\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nNSpid:\t0\nThreads:\t0\n"
    b"ShdPnd:\t0\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\nCapInh:\t0\n",
}


@pytest.fixture
def handed_on(monkeypatch, child):
    """``child``, some looks at which show the first thread that it had until just now.

    Stands in for some microseconds of an execve(2) by another thread: what the kernel showed then
    was copied from it.
    """
    # Before it waits for its input it grows: two looks would tell different things of it.
    until(lambda: processes.look(child.pid).state == "S", "its waiting")
    who, read = processes.identify(child.pid), procfs._read

    def several_times(path, limit=procfs._ENOUGH):
        name = path.rpartition("/")[2]
        if path.startswith(f"/proc/{child.pid}/") and left.get(name, 0):
            left[name] -= 1
            return RELEASED[name] % who if name == "stat" else RELEASED[name]
        return read(path, limit)

    left = {}
    monkeypatch.setattr(procfs, "_read", several_times)
    return who, left


@pytest.mark.parametrize("file", RELEASED)
def test_one_whose_program_another_thread_replaces_is_no_dead_one_without_a_parent(handed_on, file):
    who, left = handed_on
    for look in (processes.identify, processes.above, processes.look, lambda pid: processes.catches(pid, 15)):
        true = look(who.pid)
        left[file] = 2
        assert look(who.pid) == true
    assert processes.ended(who) is False


def test_who_shows_no_thread_again_and_again_is_unknown(handed_on):
    who, left = handed_on
    left["status"] = 99
    assert isinstance(processes.look(who.pid), Unknown)
    assert isinstance(processes.catches(who.pid, signal.SIGTERM), Unknown)
    left["stat"] = 99
    assert isinstance(processes.look(who.pid), Unknown)
    assert isinstance(processes.ended(who), Unknown)
    assert isinstance(processes.chain(who.pid), Unknown)


def test_identity_has_a_start_time_that_a_later_process_does_not_share(child):
    first = processes.identify(child.pid)
    time.sleep(0.03)  # more than one tick of the clock that start times are told in
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as other:
        second = processes.identify(other.pid)
        other.stdin.close()
    assert first.start < second.start


def test_a_process_that_is_not_there_is_gone():
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert processes.look(process.pid) == Gone()
    assert processes.identify(process.pid) == Gone()
    assert processes.above(process.pid) == Gone()
    assert processes.comm(process.pid) == ""
    assert processes.owner(process.pid) is None


def test_without_proc_nothing_is_known(monkeypatch):
    def not_mounted(path, limit=0):
        raise FileNotFoundError(path)

    monkeypatch.setattr(procfs, "_read", not_mounted)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert isinstance(procfs.look(os.getpid()), Unknown)


def test_an_unreadable_or_odd_answer_is_unknown(monkeypatch):
    for wrong in (PermissionError(13, "no"), OSError(24, "too many open files")):

        def refuse(path, limit=0, wrong=wrong):
            raise wrong

        monkeypatch.setattr(procfs, "_read", refuse)
        assert isinstance(procfs.look(1), Unknown)
        assert isinstance(procfs.above(1), Unknown)
    for odd in (b"", b"1 (x", b"1 (x) S 1 2", b"1 (x) S a b c d e f"):
        monkeypatch.setattr(procfs, "_read", lambda path, limit=0, odd=odd: odd)
        assert isinstance(procfs.look(1), Unknown)


@pytest.mark.parametrize("name", [b"a\n) R 1", b") Z 1 1", b"\xff\xfe\x80", b"(((", b"x\x1b[31m"])
def test_a_hostile_name_hides_nothing(name):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        buffer = ctypes.create_string_buffer(name[:15])
        ctypes.CDLL(None).prctl(15, buffer, 0, 0, 0)  # PR_SET_NAME
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)
    try:
        facts = processes.look(pid)
        assert isinstance(facts, ProcessFacts)
        assert facts.name == name[:15].decode("utf-8", "surrogateescape")
        assert facts.parent == os.getpid()
        assert facts.state in "RS"
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def test_a_zombie_is_dead_for_everybody_who_asks():
    process = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    facts = processes.look(process.pid)
    assert isinstance(facts, ProcessFacts)
    assert facts.dead
    link = processes.above(process.pid)
    assert isinstance(link, Above)
    assert link.dead
    process.wait()


def test_signal_dispositions_are_seen():
    code = (
        "import signal, sys; how = sys.argv[1];"
        "signal.signal(1, getattr(signal, how) if how != 'f' else print); print(flush=True); input()"
    )
    seen = {}
    for how in ("SIG_DFL", "SIG_IGN", "f"):
        with subprocess.Popen(
            [sys.executable, "-c", code, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            facts = processes.look(process.pid)
            seen[how] = (facts.hangup_ignored, facts.hangup_caught)
            process.communicate(b"\n")
    assert seen == {"SIG_DFL": (False, False), "SIG_IGN": (True, False), "f": (False, True)}


@pytest.mark.parametrize("blocked", [True, False])
def test_a_hangup_that_was_not_taken_yet_is_seen_unless_it_is_held_off(blocked):
    hold_off = "signal.pthread_sigmask(signal.SIG_BLOCK, [1]);" if blocked else ""
    code = f"import signal; signal.signal(1, print); {hold_off} print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)  # it takes nothing any more
        until(lambda: processes.look(process.pid).state == "T", "it being stopped")
        assert not processes.look(process.pid).hangup_pending
        process.send_signal(signal.SIGHUP)
        assert processes.look(process.pid).hangup_pending is not blocked
        process.send_signal(signal.SIGCONT)
        process.communicate(b"\n")


def test_stdio_tells_terminals_pipes_and_neither():
    terminal, other_end = os.openpty()
    null = os.open(os.devnull, os.O_RDWR)
    expected = [
        ({"stdin": null, "stdout": null, "stderr": null}, Stdio(terminal=False, pipe=False)),
        ({"stdin": null, "stdout": other_end, "stderr": null}, Stdio(terminal=True, pipe=False)),
        ({"stdin": subprocess.PIPE, "stdout": null, "stderr": null}, Stdio(terminal=False, pipe=True)),
    ]
    for streams, stdio in expected:
        process = subprocess.Popen(["/bin/sleep", "60"], **streams)
        assert processes.stdio(process.pid) == stdio
        process.kill()
        process.communicate()
    for fd in (terminal, other_end, null):
        os.close(fd)


def test_a_hung_up_terminal_is_still_a_terminal():
    terminal, other_end = os.openpty()
    process = subprocess.Popen(["/bin/sleep", "60"], stdout=other_end, start_new_session=True)
    os.close(terminal)
    os.close(other_end)
    assert processes.stdio(process.pid).terminal
    process.kill()
    process.wait()


def test_the_chain_leads_from_the_parent_to_the_top(child):
    chain = processes.chain(processes.above(child.pid).parent)
    assert chain[0].id.pid == os.getpid()
    assert all(link.id.pid > 1 for link in chain)
    assert processes.chain(1) == ()
    assert processes.chain(0) == ()


def test_a_chain_with_a_missing_link_is_unknown():
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert isinstance(processes.chain(process.pid), Unknown)


def test_a_chain_without_end_is_unknown(monkeypatch):
    circle = {5: Above(procfs.ProcessId(5, 1), 6, "a"), 6: Above(procfs.ProcessId(6, 1), 5, "b")}
    assert isinstance(processes.chain(5, circle), Unknown)


def test_descendants_come_after_their_parents():
    script = "sleep 60 & sh -c 'sleep 60 & echo ok; wait' & wait"
    process = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()
    found = processes.descendants(process.pid)
    try:
        assert len(found) >= 3
        seen = {process.pid}
        for link in found:
            assert link.parent in seen
            seen.add(link.id.pid)
    finally:
        for link in reversed(found):
            os.kill(link.id.pid, signal.SIGTERM)
        process.kill()
        process.communicate()


def test_one_variable_of_an_environment():
    environment = {"A": "1", "AB": "2", "EMPTY": "", "BYTES": "\udcff"}
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env=environment)
    becomes(process.pid, "cat")
    values = {name: processes.environment(process.pid, name) for name in (*environment, "B")}
    process.communicate()
    assert values == {**environment, "B": ""}


def test_of_one_within_an_execve_nobody_can_tell_its_environment_nor_its_arguments(restless):
    """The kernel shows neither then: as if there were none."""

    def marked():
        return processes.environment(restless.pid, "SENTINEL_KEEP")

    def arguments():
        program = processes.program(restless.pid)
        return program if isinstance(program, Unknown) else program[1][1:]

    for look, true in ((marked, "1"), (arguments, (str(restless.args[0]),))):
        seen = answers(look, 500)
        assert set(seen) == {true}
        until(lambda look=look: isinstance(look(), Unknown), "a look within execve(2)")


def test_no_environment_at_all_is_known():
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, env={})
    becomes(process.pid, "cat")
    found = processes.environment(process.pid, "A")
    process.communicate()
    assert found == ""


def test_program_and_directory_of_a_process(child, tmp_path):
    exe, argv = processes.program(child.pid)
    assert os.path.basename(exe) in {"cat", "coreutils", "busybox"}
    assert argv == ("/bin/cat",)
    assert processes.working_directory(child.pid) == os.getcwd()


def test_program_of_a_process_that_is_gone_is_unknown():
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert isinstance(processes.program(process.pid), Unknown)
    assert processes.working_directory(process.pid) == ""
    assert isinstance(processes.environment(process.pid, "A"), Unknown)


def test_everyone_includes_us():
    assert os.getpid() in processes.everyone()


def test_a_population_is_counted_up_to_what_is_enough(monkeypatch):
    whole = processes.population(os.getuid(), sys.maxsize)
    assert whole >= 1
    assert processes.population(os.getuid(), whole + 1) == pytest.approx(whole, abs=8)  # others come and go
    assert processes.population(4_000_000_000, sys.maxsize) == 0
    asked = []
    monkeypatch.setattr(procfs, "owner", lambda pid: asked.append(pid) or os.getuid())
    assert processes.population(os.getuid(), 1) == len(asked) == 1


def test_the_boot_has_a_name():
    assert len(processes.boot_id()) == 36
