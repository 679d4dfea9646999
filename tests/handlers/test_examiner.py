"""What a judgement is made from: a fresh look, and nothing that was not asked for."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace

import pytest

from sentinel.core.events import ProcessExited
from sentinel.core.facts import Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.policy import KindPolicy, Policy, Survivors
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Absent, Condemned, Spared
from sentinel.handlers import examiner
from sentinel.observe import processes
from tests.handlers.room import killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def asked(monkeypatch):
    """Which questions were put to the kernel."""
    calls = []
    for name in ("chain", "stdio"):
        real = getattr(processes, name)
        monkeypatch.setattr(processes, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    return calls


@pytest.fixture
def orphan(room):
    """A child that a dead session left, and how to judge it."""
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    child = room.forked(agent.pid, agent.do("bear()"))
    who = room.ledger.member(child).id
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    until(lambda: processes.above(child).parent != agent.pid)
    return who


def test_an_orphan_of_a_dead_session_is_condemned_by_what_is_seen_now(room, orphan):
    verdict = room.examiner.verdict(orphan)
    assert isinstance(verdict, Condemned)
    assert verdict.facts.parent == 1
    assert any("claude was killed by SIGKILL" in sentence for sentence in verdict.evidence)


def test_one_that_ends_while_it_is_read_is_gone(room, orphan, monkeypatch):
    real = processes.chain

    def chain(*arguments):
        os.kill(orphan.pid, signal.SIGKILL)
        until(lambda: room.handles.ended(orphan) is True)
        return real(*arguments)

    monkeypatch.setattr(processes, "chain", chain)
    case = room.examiner.case(orphan)
    assert case.facts == Gone()
    assert room.examiner.verdict(orphan) == Absent(orphan)


def test_input_and_output_are_read_only_when_a_guard_will_ask(room, orphan, asked):
    room.examiner.verdict(orphan)
    assert asked == ["chain"]
    agent = room.start()
    session = room.open(agent.pid)
    nohup = room.start(
        sys.executable, "-I", "-S", "-c", "import signal; signal.signal(1, signal.SIG_IGN); print(flush=True); input()"
    )
    nohup.stdout.readline()
    room.forked(agent.pid, nohup.pid)
    asked.clear()
    assert room.examiner.left_by(room.ledger.record(session.key))[0].guard == "owner-alive"
    assert asked == ["chain", "stdio"]


def test_nothing_more_is_asked_of_a_number_that_is_another_process_now(room, orphan, asked):
    before = ProcessId(orphan.pid, orphan.start - 1)
    case = room.examiner.case(before)
    assert (case.member, case.session, asked) == (None, None, [])
    assert isinstance(room.examiner.verdict(before), Spared)


@pytest.mark.parametrize("question", ["look", "chain"])
def test_an_answer_that_is_missing_spares(room, orphan, monkeypatch, question):
    monkeypatch.setattr(processes, question, lambda *_: Unknown("what it is", "a test says so"))
    verdict = room.examiner.verdict(orphan)
    assert isinstance(verdict, Spared)
    assert verdict.reason == "could not find out what it is: a test says so"


def test_input_and_output_that_cannot_be_read_spare(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    between, child = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, between)
    room.forked(between, child)
    os.kill(between, signal.SIGKILL)
    agent.do(f"os.waitpid({between}, 0)[0]")
    room.bus.publish(ProcessExited(between, killed()))  # now the child has left the tree while its session lives
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert isinstance(room.examiner.case(processes.identify(child)).stdio, Stdio)
    monkeypatch.setattr(processes, "stdio", lambda _: Unknown("where it leads", "a test says so"))
    assert [verdict.guard for verdict in room.examiner.left_by(room.ledger.record(session.key))] == ["unknown"]


def test_what_hangs_under_a_process_that_stays_stays_with_it(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    job, worker = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, job)
    room.forked(job, worker)
    os.kill(job, signal.SIGSTOP)
    until(lambda: processes.look(job).state == "T")
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    judged = room.examiner.left_by(room.ledger.record(session.key))
    assert {v.id.pid: v.guard for v in judged} == {job: "stopped", worker: "sheltered"}
    assert (
        room.examiner.verdict(processes.identify(worker)).reason
        == f"it hangs under process {job}, which is spared [stopped]"
    )
    os.kill(job, signal.SIGCONT)
    until(lambda: processes.look(job).state != "T")
    assert isinstance(room.examiner.verdict(processes.identify(worker)), Condemned)


def test_a_stranger_is_nobodys(room):
    stranger = room.start()
    verdict = room.examiner.verdict(stranger.who)
    assert isinstance(verdict, Spared)
    assert verdict.guard == "not-in-ledger"
    assert room.examiner.case(stranger.who).policy == KindPolicy()


def test_wishes_are_asked_anew_each_time(room, orphan):
    assert isinstance(room.examiner.verdict(orphan), Condemned)
    room.policy = Policy(kinds={kind: KindPolicy(survivors=Survivors.REPORT) for kind in Kind})
    assert room.examiner.verdict(orphan).guard == "policy"


def test_a_dead_session_is_no_living_root_for_what_hangs_under_it(room, orphan):
    agent = room.start()
    room.open(agent.pid, name="codex")
    world = room.examiner.case(orphan).world
    assert {session.name for session in world.roots.values()} == {"codex"}


def test_we_are_whoever_asks_and_what_that_hangs_on(room):
    us = examiner.find_ourselves()
    assert (us.pid, us.uid) == (os.getpid(), os.getuid())
    puppet = room.start()
    told = puppet.do("os.getppid()")
    assert told == us.pid
    assert isinstance(processes.look(puppet.pid), ProcessFacts)


def test_without_knowing_what_we_hang_on_nothing_begins(monkeypatch):
    monkeypatch.setattr(processes, "chain", lambda _: Unknown("what it hangs under", "a test says so"))
    with pytest.raises(RuntimeError, match="a test says so"):
        examiner.find_ourselves()


def test_what_lives_inside_of_a_session_is_seen_there_also_through_dead_ones(room):
    room.keep_books()
    outer, between, inner, other = (room.start() for _ in range(4))
    first = room.open(outer.pid)
    second = room.open(between.pid, outer=first.key)
    third = room.open(inner.pid, outer=second.key)
    room.open(other.pid)
    between.end()
    room.ledger.exited(between.pid, killed())
    child = room.forked(outer.pid, outer.do("bear()"))
    roots = room.examiner.case(room.ledger.member(child).id).world.roots
    assert {session.root.pid: session.outer for session in roots.values()} == {
        outer.pid: "",
        inner.pid: first.key,
        other.pid: "",
    }
    assert third.outer == second.key


def test_what_sessions_around_it_were_called_that_are_forgotten_counts(room):
    desk = room.open(room.start().pid, Kind.RUN, "desk", forgotten=("rig",))
    agent = room.start()
    room.open(agent.pid, outer=desk.key, forgotten=("shell",))
    assert room.examiner.case(agent.who).names == ("claude", "shell", "desk", "rig")


def test_mercy_a_session_is_protected_by_the_name_of_one_however_far_outside(room):
    """Each has a name, ids and names of the forgotten: twenty of those were all that was asked."""
    between = tuple(f"shell{number}" for number in range(30))
    desk, agent = room.start(), room.start()
    outermost = room.open(desk.pid, name="desk")
    room.open(agent.pid, outer=outermost.key, forgotten=between)
    assert room.examiner.case(agent.who).names == ("claude", *between, "desk")


def test_sessions_that_are_inside_of_each_other_are_named_once(room):
    inner, outer = room.start(), room.start()
    first = room.open(inner.pid)
    second = room.open(outer.pid, name="desk", outer=first.key)
    room.ledger.amend(replace(first, outer=second.key))
    assert room.examiner.case(inner.who).names == ("claude", "desk")


def test_who_is_not_known_to_be_the_same_is_spared(room, orphan, monkeypatch):
    """Without a handle it is asked again who has the number, and that may bring no answer."""
    room.handles.drop(orphan)
    monkeypatch.setattr(room.handles, "ended", lambda who: Unknown("whether it has ended", "a test says so"))
    verdict = room.examiner.verdict(orphan)
    assert isinstance(verdict, Spared)
    assert verdict.guard == "unknown"


def test_mercy_one_that_is_stopped_is_so_also_when_its_first_thread_has_ended(room):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    script = (
        "threading.Thread(target=time.sleep, args=(60,)).start(); __import__('ctypes').CDLL(None).pthread_exit(None)"
    )
    child = room.forked(agent.pid, agent.do(f"bear({script!r})"))
    until(lambda: not processes.working_directory(child))  # the kernel shows none of a thread that has ended
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    who = room.ledger.member(child).id
    until(lambda: isinstance(room.examiner.verdict(who), Condemned))
    os.kill(child, signal.SIGSTOP)
    until(lambda: processes.look(child).state == "T")
    verdict = room.examiner.verdict(who)
    assert isinstance(verdict, Spared)
    assert verdict.guard == "stopped"


def test_who_has_a_stopped_job_is_spared_since_the_kernel_would_hang_up_on_that(room):
    """The stopped one is in a group of its own, as shells make it for each job."""
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    job = "os.setpgid(0, 0); os.kill(os.getpid(), signal.SIGSTOP)"
    shell, stopped = agent.bear_through(job, between="time.sleep(60)")
    room.forked(agent.pid, shell)
    room.forked(shell, stopped)
    until(lambda: processes.look(stopped).state == "T")
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    verdicts = {v.id.pid: v for v in room.examiner.left_by(room.ledger.record(session.key))}
    assert {pid: verdict.guard for pid, verdict in verdicts.items()} == {shell: "stopped-jobs", stopped: "stopped"}


SERVER = """
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind({path!r})
listener.listen()
open({path!r} + ".up", "w")
time.sleep(60)
"""


def test_who_is_above_one_that_serves_is_spared_also_when_that_one_stays_for_another_reason(room, tmp_path):
    """A wrapper hands the request to end on to what it wraps, and that is stopped with its client waiting."""
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    path = str(tmp_path / "served")
    wrapper, server = agent.bear_through(SERVER.format(path=path), between="time.sleep(60)")
    room.forked(agent.pid, wrapper)
    room.forked(wrapper, server)
    until(lambda: os.path.exists(path + ".up"))
    os.kill(server, signal.SIGSTOP)
    until(lambda: processes.look(server).state == "T")
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))

    def judged():
        verdicts = room.examiner.left_by(room.ledger.record(session.key))
        return {verdict.id.pid: getattr(verdict, "guard", "condemned") for verdict in verdicts}

    assert judged() == {wrapper: "condemned", server: "stopped"}
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        assert judged() == {wrapper: "serving", server: "stopped"}
