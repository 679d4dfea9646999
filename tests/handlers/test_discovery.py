"""Sessions that nobody registered: what opens one, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from sentinel.core.events import (
    FOUND,
    ProcessExecuted,
    ProcessExited,
    ProcessRenamed,
    SessionDied,
    SessionOpened,
    SourceDegraded,
)
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sessions import Kind, Session
from sentinel.observe import overmind, processes
from tests.handlers.room import becomes, comes, dead, killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

OVERMINDS = "overmind-shop-abcdefghijklmnopqrstu"
ENVIRON = {"PATH": os.environ["PATH"], "SHELL": "/bin/sh"}
INTO_TMUX_SERVER = "__import__('ctypes').CDLL(None).prctl(15, b'tmux: server', 0, 0, 0)"


@pytest.fixture
def later():
    """What was asked to be done later."""
    return []


@pytest.fixture
def discovery(room, later):
    return room.discover(later=lambda delay, call, *arguments: later.append((delay, call, arguments)))


def start(room, program, name="claude", *arguments, tell=True):
    """Start a program as if from nobody's terminal, and tell of it."""
    puppet = room.start(program(name), *arguments)
    puppet.do("1")
    if tell:
        room.bus.publish(ProcessExecuted(puppet.pid))
    return puppet


@pytest.fixture
def no_sockets(monkeypatch):
    """Stands in for a sandbox that has no netlink: nobody tells who listens where."""
    monkeypatch.setattr("sentinel.observe.tmux.listeners_of", lambda *_: Unknown("which sockets are bound", "refused"))


def opened(room):
    return [event.session for event in room.told(SessionOpened)]


# -- agents --------------------------------------------------------------------------------


def test_an_agent_is_watched_from_its_birth(room, program, discovery):
    agent = start(room, program)
    (session,) = opened(room)
    assert (session.kind, session.name, session.root, session.outer) == (Kind.AGENT, "claude", agent.who, "")
    assert session.directory == os.getcwd()
    assert room.told(SessionOpened)[0].how == "born"
    assert agent.who in room.exits.now
    assert room.handles.fd(agent.who) is not None


def test_most_programs_are_nothing_special(room, discovery):
    room.bus.publish(ProcessExecuted(room.start().pid))
    room.bus.publish(ProcessExecuted(2**22))
    room.bus.publish(ProcessRenamed(os.getpid()))
    assert room.events == []
    assert len(room.handles) == 0


def test_a_session_that_is_found_late_is_around_those_that_were_found_under_it(room, program, discovery):
    start(room, program, "goose")
    outer = start(room, program, "claude", tell=False)
    script = f"os.execv({program('codex')!r}, ['codex'])"
    inner = outer.do(f"bear({script!r})")
    becomes(inner, "codex")
    room.bus.publish(ProcessExecuted(inner))
    room.bus.publish(ProcessExecuted(outer.pid))
    names = {record.session.name: record.session for record in room.ledger.sessions()}
    assert names["codex"].outer == names["claude"].key
    assert names["goose"].outer == names["claude"].outer == ""


def test_an_agent_that_comes_into_the_book_with_another_one_is_a_session_or_in_doubt(
    room, program, discovery, monkeypatch
):
    """The word on it came when nobody could tell what it is, and to whom it belongs was not known then."""
    outer = start(room, program, "claude", tell=False)
    script = f"os.execv({program('codex')!r}, ['codex'])"
    told, untold = outer.do(f"bear({script!r})"), outer.do(f"bear({script!r})")
    for pid in (told, untold):
        becomes(pid, "codex")
    sighted = processes.program
    monkeypatch.setattr(
        processes, "program", lambda pid: Unknown("what it runs", "nobody told") if pid == untold else sighted(pid)
    )
    room.bus.publish(ProcessExecuted(outer.pid))
    assert [session.root.pid for session in opened(room)] == [outer.pid, told]
    assert room.ledger.member(untold).unread == processes.identify(untold)


def test_an_agents_child_of_which_nobody_can_tell_whether_it_is_a_copy_is_no_session_but_in_doubt(
    room, program, discovery, monkeypatch
):
    """What a copy that daemonised bears is its agent's, and is left behind by nobody when the copy ends."""
    agent = start(room, program, "claude", tell=False)
    monkeypatch.setattr(processes, "only_forked", lambda _: Unknown("whether it is a copy", "a test says so"))
    room.bus.publish(ProcessExecuted(agent.pid))
    assert opened(room) == []


def test_a_launcher_and_the_program_directly_under_it_are_one_session(room, program, discovery):
    launcher = start(room, program)
    inner = room.forked(
        launcher.pid, launcher.do(f"subprocess.Popen([{program('claude')!r}], stdin=subprocess.PIPE).pid")
    )
    becomes(inner, "claude")
    room.bus.publish(ProcessExecuted(inner))
    assert len(opened(room)) == 1
    assert room.owner(inner) == opened(room)[0].key


def test_another_agent_directly_under_it_is_a_session_of_its_own(room, program, discovery):
    outer = start(room, program)
    inner = room.forked(outer.pid, outer.do(f"subprocess.Popen([{program('codex')!r}], stdin=subprocess.PIPE).pid"))
    becomes(inner, "codex")
    room.bus.publish(ProcessExecuted(inner))
    assert [(session.name, session.outer) for session in opened(room)] == [
        ("claude", ""),
        ("codex", opened(room)[0].key),
    ]
    assert outer.pid in room.ledger


def test_the_same_agent_through_a_shell_is_a_session_of_its_own(room, program, discovery):
    outer = start(room, program)
    command = f"subprocess.Popen(['/bin/sh', '-c', '{program('claude')}; :'], stdin=subprocess.PIPE).pid"
    shell = room.forked(outer.pid, outer.do(command))
    (inner,) = until(lambda: [link.id.pid for link in processes.descendants(shell)])
    becomes(inner, "claude")
    room.forked(shell, inner)
    room.bus.publish(ProcessExecuted(inner))
    assert [session.root.pid for session in opened(room)] == [outer.pid, inner]
    assert room.owner(shell) == opened(room)[0].key
    assert room.owner(inner) == opened(room)[1].key


def test_an_agent_under_who_has_the_number_of_a_dead_one_is_a_session(room, program, discovery):
    stranger = room.start()
    before = ProcessId(stranger.pid, stranger.who.start - 5)
    dead_one = room.ledger.open(Session(Kind.AGENT, "claude", before), 0.0).session
    left = room.start()
    room.ledger.enter(left.who, stranger.pid, 0.0)  # something of it is still there, so it is in the book
    room.ledger.exited(stranger.pid, killed())
    agent = stranger.do(f"subprocess.Popen([{program('claude')!r}], stdin=subprocess.PIPE).pid")
    becomes(agent, "claude")
    room.bus.publish(ProcessExecuted(agent))
    assert room.ledger.rooted_at(stranger.pid) == dead_one
    assert [session.root.pid for session in opened(room)] == [agent]


def test_a_copy_of_an_agent_that_nobody_watches_is_not_taken_for_one(room, program, discovery):
    agent = room.start(program("claude"))
    copy = agent.do("bear()")
    discovery.consider(copy, FOUND)
    assert opened(room) == []
    discovery.consider(agent.pid, FOUND)
    assert [session.root for session in opened(room)] == [agent.who]


def test_a_copy_of_an_agent_that_replaces_its_program_while_it_is_looked_at_is_no_agent(
    room, program, discovery, later, monkeypatch
):
    """Of 200 copies that are met as they are about to run a tool, one does between two looks."""
    agent = start(room, program)
    shell = room.forked(agent.pid, agent.do("bear()"))
    copy = room.forked(agent.pid, agent.do("subprocess.Popen(['sleep', '60']).pid"))
    becomes(copy, "sleep")
    with monkeypatch.context() as before:
        real, looks = processes.program, []

        def program_of(pid):
            looks.append(pid)
            return real(agent.pid if len(looks) == 1 else pid)

        before.setattr(processes, "program", program_of)
        above = processes.look(copy)
        before.setattr(processes, "look", lambda _: replace(above, parent=shell))
        discovery.consider(copy, FOUND)
    assert len(opened(room)) == 1
    assert room.ledger.member(copy).unread is not None
    comes(later)
    assert len(opened(room)) == 1
    assert room.ledger.member(copy).unread is None


CANNOT_TELL = Unknown("it", "a test says so")


@pytest.mark.parametrize(
    "blind",
    [
        {"program": lambda _: CANNOT_TELL},
        {"look": lambda _: CANNOT_TELL},
        {"owner": lambda _: None},
    ],
    ids=lambda blind: next(iter(blind)),
)
@pytest.mark.usefixtures("discovery")
def test_a_child_that_may_be_an_agent_is_in_doubt_until_it_can_be_read(room, program, later, monkeypatch, blind):
    outer = room.start()
    room.open(outer.pid, name="codex")
    command = f"subprocess.Popen([{program('claude')!r}], stdin=subprocess.PIPE).pid"
    inner = room.forked(outer.pid, outer.do(command))
    becomes(inner, "claude")
    with monkeypatch.context() as eyes:
        for name, look in blind.items():
            eyes.setattr(processes, name, look)
        room.bus.publish(ProcessExecuted(inner))
        (delay, look_again, arguments) = later.pop()
        assert delay == 0.05
        look_again(*arguments)
        (delay, look_again, arguments) = later.pop()
        assert delay == 0.5
    assert opened(room) == []
    assert room.ledger.member(inner).unread == processes.identify(inner)
    look_again(*arguments)
    assert later == []
    assert [session.root.pid for session in opened(room)] == [inner]
    assert room.ledger.member(inner).unread is None


def test_a_stranger_that_could_not_be_told_is_looked_at_again(room, discovery, later, tmux, monkeypatch):
    tmux("new-session", "-d", "sleep 600")
    with monkeypatch.context() as blind:
        blind.setattr(processes, "above", lambda _: CANNOT_TELL)
        room.bus.publish(ProcessRenamed(server_pid()))
    assert opened(room) == []
    ((_, look_again, arguments),) = later
    look_again(*arguments)
    assert opened(room)[0].root.pid == server_pid()


def test_at_what_another_user_runs_nobody_looks_again(room, discovery, later, monkeypatch):
    stranger = room.start("/bin/sleep", "60")
    becomes(stranger.pid, "sleep")
    monkeypatch.setattr(processes, "program", lambda _: CANNOT_TELL)
    discovery.consider(stranger.pid, FOUND)
    assert len(later) == 1
    monkeypatch.setattr(processes, "owner", lambda _: room.us.uid + 1)
    discovery.consider(stranger.pid, FOUND)
    assert len(later) == 1


def test_a_job_that_could_not_be_read_is_trusted_when_it_can_be(room, discovery, later, monkeypatch):
    outer = room.start()
    room.open(outer.pid)
    job = room.forked(outer.pid, outer.do("subprocess.Popen(['/bin/sleep', '60']).pid"))
    becomes(job, "sleep")
    with monkeypatch.context() as blind:
        blind.setattr(processes, "program", lambda _: CANNOT_TELL)
        discovery.consider(job, FOUND)
    assert room.ledger.member(job).unread is not None
    ((_, look_again, arguments),) = later
    look_again(*arguments)
    assert room.ledger.member(job).unread is None


def test_what_one_bore_that_could_not_be_read_is_trusted_when_that_one_has_ended(room, discovery, later, monkeypatch):
    """It was the shell of a tool: whatever it was, it is no session that lives."""
    outer = room.start()
    room.open(outer.pid)
    shell, job = outer.bear_through(between="time.sleep(60)")
    room.forked(outer.pid, shell)
    with monkeypatch.context() as blind:
        blind.setattr(processes, "program", lambda _: CANNOT_TELL)
        blind.setattr(processes, "comm", lambda _: "node")  # a name that is worth a look
        room.bus.publish(ProcessExecuted(shell))
    room.forked(shell, job)
    assert room.ledger.member(job).unread == processes.identify(shell)
    os.kill(shell, 9)
    outer.do(f"os.waitpid({shell}, 0)[0]")
    room.bus.publish(ProcessExited(shell, killed()))
    ((_, look_again, arguments),) = later
    look_again(*arguments)
    assert room.ledger.member(job).unread is None


def test_what_one_bore_whose_birth_could_not_be_read_stays_in_doubt(room, discovery, later, monkeypatch):
    """It may live, and be a session: nobody ever had hold of it."""
    outer = room.start()
    room.open(outer.pid)
    shell, job = outer.bear_through(between="time.sleep(60)")
    with monkeypatch.context() as blind:
        blind.setattr(processes, "comm", lambda _: "node")
        for look in ("identify", "program", "above"):
            blind.setattr(processes, look, lambda _: CANNOT_TELL)
        blind.setattr(room.handles, "take", lambda _: CANNOT_TELL)
        room.forked(outer.pid, shell)
        room.bus.publish(ProcessExecuted(shell))
    room.forked(shell, job)
    room.ledger.exited(shell, killed())
    ((_, look_again, arguments),) = later
    look_again(*arguments)
    assert room.ledger.member(job).unread.start == 0


def test_what_a_session_bore_and_lost_before_it_was_known_stays_in_doubt(room, program, discovery, later, monkeypatch):
    """It is that one's work, and the ledger has it under the session outside."""
    outer = room.start()
    room.open(outer.pid, name="codex")
    inner = room.forked(outer.pid, outer.do(f"subprocess.Popen([{program('claude')!r}], stdin=subprocess.PIPE).pid"))
    becomes(inner, "claude")
    with monkeypatch.context() as blind:
        blind.setattr(processes, "program", lambda _: CANNOT_TELL)
        room.bus.publish(ProcessExecuted(inner))
    between, lost = room.start(), room.start()
    room.ledger.enter(between.who, inner, 0.0)
    room.ledger.enter(lost.who, between.pid, 0.0)
    room.ledger.exited(between.pid, killed())
    ((_, look_again, arguments),) = later
    look_again(*arguments)
    assert [session.root.pid for session in opened(room)] == [inner]
    assert room.ledger.member(inner).unread is None
    assert room.ledger.member(lost.pid).unread.pid == inner


def test_one_whose_name_could_not_be_read_may_have_been_nohup_and_stays_in_doubt(room, discovery, later, monkeypatch):
    outer = room.start()
    room.open(outer.pid)
    job = room.forked(outer.pid, outer.do("bear()"))
    with monkeypatch.context() as blind:
        blind.setattr(processes, "comm", lambda _: "")
        room.bus.publish(ProcessExecuted(job))
    assert room.ledger.member(job).unread is not None
    assert later == []


def test_what_has_ended_before_it_was_read_leaves_no_doubt(room, discovery, later):
    outer = room.start()
    room.open(outer.pid)
    job = room.forked(outer.pid, outer.do("bear()"))
    os.kill(job, 9)
    outer.do(f"os.waitpid({job}, 0)[0]")
    room.bus.publish(ProcessExecuted(job))
    assert room.ledger.member(job).unread is None
    assert later == []


def test_a_root_that_replaces_its_program_stays_the_same_session(room, program, discovery):
    agent = start(room, program)
    agent.tell(f"os.execv({program('codex')!r}, ['codex'])")
    becomes(agent.pid, "codex")
    room.bus.publish(ProcessExecuted(agent.pid))
    assert [session.name for session in opened(room)] == ["claude"]


def test_a_number_that_a_dead_session_had_can_open_the_next(room, program, discovery):
    agent = room.start(program("codex"))
    agent.do("1")
    before = Session(Kind.AGENT, "claude", ProcessId(agent.pid, agent.who.start - 5))
    room.ledger.open(before, 0.0)
    room.bus.publish(ProcessExecuted(agent.pid))
    assert [session.root for session in opened(room)] == [agent.who]
    assert [event.session for event in room.told(SessionDied)] == [before]


# -- Overmind ------------------------------------------------------------------------------


def test_an_overmind_is_watched_with_what_it_will_leave_behind(room, program, discovery, later, tmp_path):
    manager = start(room, program, "overmind", "start", "-s", str(tmp_path / "o.sock"), "-w", "My Shop")
    (session,) = opened(room)
    assert (session.kind, session.name) == (Kind.OVERMIND, "My Shop")
    assert [(mark.path, mark.inode) for mark in session.belongings.sockets] == [(str(tmp_path / "o.sock"), None)]
    manager.do(f"(it := __import__('socket').socket(1), it.bind({str(tmp_path / 'o.sock')!r}), it.listen(), 1)[-1]")
    assert {arguments for _, _, arguments in later} == {(manager.pid,)}
    for _, call, arguments in later:
        call(*arguments)
    (mark,) = room.ledger.record(session.key).session.belongings.sockets
    assert mark.inode == os.lstat(tmp_path / "o.sock").st_ino


def test_an_overmind_that_cannot_be_described_is_let_go(room, program, discovery, monkeypatch):
    monkeypatch.setattr(overmind, "describe", lambda _: Unknown("where it works", "a test says so"))
    start(room, program, "overmind", "start")
    assert opened(room) == []
    assert len(room.handles) == 0


def test_its_own_tmux_server_is_no_session_but_dies_with_it(room, program, discovery, tmux, tmp_path):
    manager = start(room, program, "overmind", "start", "-w", "shop")
    session = opened(room)[0]
    client = f"['tmux', '-L', {OVERMINDS!r}, '-f', '/dev/null', 'new-session', '-d', 'sleep 600']"
    environ = {**ENVIRON, "TMUX_TMPDIR": str(tmp_path)}
    brief = manager.do(f"(it := subprocess.Popen({client}, env={environ}), it.wait(), it.pid)[-1]")
    server = until(server_pid)
    room.forked(manager.pid, brief)
    room.forked(brief, server)
    room.bus.publish(ProcessRenamed(server))
    member = room.ledger.member(server)
    assert (member.manager_server, member.owner) == (True, session.key)
    assert len(opened(room)) == 1
    assert room.ledger.manager_servers == {member.id: session.key}
    belongings = room.ledger.record(session.key).session.belongings
    assert belongings.sockets[-1].path.endswith(OVERMINDS)
    assert belongings.sockets[-1].inode is not None
    assert belongings.directories == (f"{belongings.script_root}/{OVERMINDS}",)


def test_another_tmux_server_that_an_overmind_started_is_a_session_of_its_own(room, program, discovery, tmux):
    manager = start(room, program, "overmind", "start", "-w", "shop")
    tmux("new-session", "-d", "sleep 600")
    becomes(int(tmux("display-message", "-p", "#{pane_pid}")), "sleep")  # before that it may have no terminal yet
    room.forked(manager.pid, server_pid())
    room.bus.publish(ProcessRenamed(server_pid()))
    assert [session.kind for session in opened(room)] == [Kind.OVERMIND, Kind.TMUX, Kind.PANE]
    assert not room.ledger.member(server_pid()).manager_server


# -- tmux ----------------------------------------------------------------------------------


def server_pid():
    """The one tmux server of this namespace."""
    pids = [pid for pid in processes.everyone() if processes.comm(pid) == TMUX_SERVER]
    roots = [pid for pid in pids if processes.look(pid).parent not in pids]
    return roots[0] if roots else None


def test_a_tmux_server_is_watched_with_its_socket(room, discovery, tmux, tmp_path):
    tmux("new-session", "-d", "sleep 600")
    room.bus.publish(ProcessRenamed(server_pid()))
    session = opened(room)[0]
    assert (session.kind, session.name) == (Kind.TMUX, "tmux.sock")
    (mark,) = session.belongings.sockets
    assert (mark.path, mark.inode) == (str(tmp_path / "tmux.sock"), os.lstat(tmp_path / "tmux.sock").st_ino)


def test_a_tmux_server_that_an_agent_started_owns_what_runs_in_it(room, program, discovery, tmux):
    agent = start(room, program)
    tmux("new-session", "-d", "sleep 600")
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")  # before that it may have no terminal of its own yet
    room.forked(agent.pid, server_pid())
    room.forked(server_pid(), pane)
    assert room.owner(pane) == opened(room)[0].key
    room.bus.publish(ProcessRenamed(server_pid()))
    inner = opened(room)[1]
    assert (inner.kind, inner.outer) == (Kind.TMUX, opened(room)[0].key)
    assert room.ledger.rooted_at(pane).outer == inner.key
    assert room.ledger.members(opened(room)[0].key) == []


def test_a_pane_that_was_looked_at_before_its_server_could_be_told_is_a_session(room, program, discovery, tmux):
    agent = start(room, program)
    tmux("new-session", "-d", "sleep 600")
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")  # before that it may have no terminal of its own yet
    room.forked(agent.pid, server_pid())
    room.forked(server_pid(), pane)
    room.bus.publish(ProcessExecuted(pane))
    room.bus.publish(ProcessRenamed(server_pid()))
    assert {session.root.pid for session in opened(room)} == {agent.pid, server_pid(), pane}


def test_panes_are_sessions_and_jobs_of_the_server_are_not(room, discovery, tmux):
    tmux("new-session", "-d", "sleep 600")
    server = server_pid()
    room.bus.publish(ProcessRenamed(server))
    tmux("new-window", "-d", "sleep 700")
    tmux("run-shell", "-b", "sleep 800")
    panes = {int(line) for line in tmux("list-panes", "-aF", "#{pane_pid}").splitlines()}
    below = until(lambda: (found := [link.id.pid for link in processes.tree()[server]]) and len(found) == 3 and found)
    until(lambda: all(processes.comm(pid) != TMUX_SERVER for pid in below))
    for pid in below:
        room.forked(server, pid)
        room.bus.publish(ProcessExecuted(pid))
    found = {session.root.pid: session.name for session in opened(room) if session.kind is Kind.PANE}
    assert set(found) == panes
    assert sorted(found.values()) == ["%0", "%1"]
    assert {session.outer for session in opened(room) if session.kind is Kind.PANE} == {opened(room)[0].key}
    (job,) = set(below) - panes
    assert room.owner(job) == opened(room)[0].key


def test_a_pane_that_is_met_within_an_execve_gets_its_name_once_that_is_over(room, discovery, tmux, later, monkeypatch):
    """The shell of a pane becomes what the pane was asked to run, and the kernel shows no environment meanwhile."""
    tmux("new-session", "-d", "sleep 600")
    room.bus.publish(ProcessRenamed(server_pid()))
    tmux("new-window", "-d", "sleep 700")
    pane = int(tmux("list-panes", "-aF", "#{pane_pid}").split()[-1])
    becomes(pane, "sleep")
    with monkeypatch.context() as execve:
        execve.setattr(processes, "environment", lambda *_: Unknown("the environment", "it is replacing its program"))
        room.forked(server_pid(), pane)
        room.bus.publish(ProcessExecuted(pane))
    assert room.ledger.rooted_at(pane) is None
    comes(later)
    assert room.ledger.rooted_at(pane).name == "%1"


def test_a_pane_whose_environment_nobody_may_read_is_a_session_all_the_same(room, discovery, tmux, later, monkeypatch):
    monkeypatch.setattr(processes, "environment", lambda *_: Unknown("the environment", "refused"))
    tmux("new-session", "-d", "sleep 600")
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")
    room.bus.publish(ProcessRenamed(server_pid()))
    comes(later)
    assert room.ledger.rooted_at(pane).name == "%?"


def test_what_a_pane_was_asked_to_run_stands_where_the_pane_stood(room, program, discovery):
    shell = room.start()
    pane = room.open(
        shell.pid, Kind.PANE, "%1", outer="work-1@2", registered=("r",), forgotten=("desk",), sid=7, scope="/scope"
    )
    shell.tell(f"os.execv({program('claude')!r}, ['claude'])")
    becomes(shell.pid, "claude")
    room.bus.publish(ProcessExecuted(shell.pid))
    agent = room.ledger.rooted_at(shell.pid)
    assert agent == replace(pane, kind=Kind.AGENT, name="claude", directory=agent.directory)


def test_a_name_of_a_pane_that_is_an_attack_stays_out_of_ids(room, discovery, tmux):
    tmux("new-session", "-d", "sleep 600")
    tmux("respawn-pane", "-k", "exec env TMUX_PANE='\x1b[2J/../' sleep 600")
    server = server_pid()
    room.bus.publish(ProcessRenamed(server))
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")
    room.forked(server, pane)
    room.bus.publish(ProcessExecuted(pane))
    session = opened(room)[1]
    assert session.id.isprintable()
    assert "/" not in session.id


def test_a_child_of_a_tmux_server_that_has_not_replaced_its_program_yet_is_no_server(room, discovery, tmp_path):
    # It has its parent's name until then. As a session of its own kind it would be judged
    # by other wishes than a pane.
    server = room.start()
    server.do(INTO_TMUX_SERVER)
    room.open(server.pid, Kind.TMUX, "default")
    child = room.forked(server.pid, server.do("bear()"))
    assert processes.comm(child) == TMUX_SERVER
    discovery.consider(child, "found")
    assert opened(room) == []
    assert room.ledger.rooted_at(child) is None


def test_a_tmux_server_of_which_nobody_can_tell_whose_it_is_is_looked_at_again(room, discovery, later, tmp_path):
    """It may be an Overmind's: the panes of that are no sessions, so what outlives one of them is not left behind."""
    server = room.start()
    server.do(INTO_TMUX_SERVER)
    room.bus.publish(ProcessRenamed(server.pid))
    assert opened(room) == []
    assert len(room.handles) == 0
    server.do(f"[vars().update(s=__import__('socket').socket(1)), s.bind({str(tmp_path / 'x')!r}), s.listen()][2] or 1")
    _, look_again, arguments = later.pop()
    look_again(*arguments)
    assert [(session.kind, session.name) for session in opened(room)] == [(Kind.TMUX, "x")]


@pytest.mark.usefixtures("no_sockets", "discovery")
@pytest.mark.parametrize("known", [False, True], ids=["of nobody", "of an agent"])
def test_a_tmux_server_whose_sockets_nobody_ever_tells_is_a_session_in_the_end(room, program, later, tmux, known):
    agent = start(room, program)
    tmux("new-session", "-d", "sleep 600")
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")  # before that it may have no terminal of its own yet
    if known:
        room.forked(agent.pid, server_pid())
        room.forked(server_pid(), pane)
    room.bus.publish(ProcessRenamed(server_pid()))
    assert len(opened(room)) == 1
    comes(later)
    assert [(session.kind, session.root.pid) for session in opened(room)[1:]] == [
        (Kind.TMUX, server_pid()),
        (Kind.PANE, pane),
    ]
    assert room.told(SourceDegraded) == []


@pytest.mark.usefixtures("no_sockets")
def test_mercy_a_tmux_server_with_an_overminds_name_is_no_session_while_nobody_tells_whose_it_is_and_that_is_said(
    room, discovery, later, overminds_server, monkeypatch
):
    """Its panes are no sessions: what daemonises in one is the Overmind's, and is left behind by nobody."""
    for _ in range(2):
        discovery.consider(overminds_server, FOUND)
        comes(later)
    assert opened(room) == []
    assert len(room.handles) == 0
    assert [event.why for event in room.told(SourceDegraded)] == [discovery.unwatched()]
    assert discovery.unwatched().startswith(f"tmux server {overminds_server} may be an Overmind's")
    monkeypatch.undo()
    discovery.consider(overminds_server, FOUND)
    assert discovery.unwatched() == ""


@pytest.mark.usefixtures("no_sockets")
def test_of_a_tmux_server_that_has_ended_nothing_is_said_any_more(room, discovery, later, overminds_server):
    discovery.consider(overminds_server, FOUND)
    comes(later)
    os.kill(overminds_server, 9)
    until(lambda: dead(overminds_server))
    assert discovery.unwatched() == ""


def test_a_pane_that_was_there_before_its_server_could_be_told_is_a_session(room, discovery, tmux):
    """Nobody watched what the server bore then, so no word on a pane came."""
    tmux("new-session", "-d", "sleep 600")
    pane = int(tmux("display-message", "-p", "#{pane_pid}"))
    becomes(pane, "sleep")
    room.bus.publish(ProcessRenamed(server_pid()))
    assert [(session.kind, session.root.pid) for session in opened(room)][1:] == [(Kind.PANE, pane)]


def test_a_session_recognised_late_owns_what_it_has_borne_by_then(room, program, discovery):
    agent = start(room, program, tell=False)
    child, grandchild = agent.bear_through(between="time.sleep(60)")
    room.bus.publish(ProcessExecuted(agent.pid))
    key = opened(room)[0].key
    assert (room.owner(child), room.owner(grandchild)) == (key, key)
    assert room.ledger.member(grandchild).parent == child


# -- Overmind's own server, known by its client -----------------------------------------------


@pytest.fixture
def overminds_server(room, discovery, tmux, tmp_path):
    """A tmux server with a name that Overmind gives; its birth was seen by nobody."""
    environ = {**ENVIRON, "TMUX_TMPDIR": str(tmp_path)}
    command = ["tmux", "-L", OVERMINDS, "-f", "/dev/null", "new-session", "-d", "sleep 600"]
    subprocess.run(command, env=environ, check=True)
    return server_pid()


def an_overmind_with_its_client(room, program, directory, *, tell=True):
    """The client speaks to the server of that name in control mode, as long as its Overmind lives."""
    manager = start(room, program, "overmind", "start", "-w", "shop", tell=tell)
    command, environ = ["tmux", "-C", "-L", OVERMINDS, "attach"], {**ENVIRON, "TMUX_TMPDIR": str(directory)}
    client = manager.do(
        f"subprocess.Popen({command}, env={environ}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL).pid"
    )
    until(lambda: isinstance(program := processes.program(client), tuple) and program[1] == tuple(command))
    room.forked(manager.pid, client)


def test_an_overminds_server_is_its_own_by_the_client_that_it_keeps(
    room, program, discovery, overminds_server, tmp_path
):
    an_overmind_with_its_client(room, program, tmp_path)
    room.bus.publish(ProcessRenamed(overminds_server))
    member = room.ledger.member(overminds_server)
    assert (member.manager_server, member.owner) == (True, opened(room)[0].key)
    pane = [link.id.pid for link in processes.tree()[overminds_server]]
    assert [room.owner(pid) for pid in pane] == [opened(room)[0].key]


@pytest.fixture
def unknown_overmind(room, program, overminds_server, tmp_path):
    """An Overmind that lives, and of which nobody was told; the pid of its server."""
    an_overmind_with_its_client(room, program, tmp_path, tell=False)
    return overminds_server


@pytest.mark.usefixtures("discovery")
def test_mercy_an_overmind_that_nobody_knew_is_found_by_the_client_of_its_server(room, unknown_overmind, later):
    """What put itself into the background by a mere fork, of a parent that was gone before anybody looked, has no exec.

    Its server would be a person's, and each pane of it a session: what daemonises there would end with that.
    """
    room.bus.publish(ProcessRenamed(unknown_overmind))
    comes(later)
    assert [(session.kind, session.name) for session in opened(room)] == [(Kind.OVERMIND, "shop")]
    assert room.ledger.member(unknown_overmind).manager_server


def test_what_lives_in_an_overminds_server_when_that_is_found_is_inside_of_the_overmind(
    room, program, discovery, overminds_server, tmp_path
):
    """What it lost falls to a subreaper there, and would else be taken for the Overmind's."""
    an_overmind_with_its_client(room, program, tmp_path)
    (pane,) = [link.id.pid for link in processes.tree()[overminds_server]]
    inner = room.open(pane)
    room.bus.publish(ProcessRenamed(overminds_server))
    assert room.ledger.record(inner.key).session.outer == opened(room)[0].key


def test_a_server_with_such_a_name_whose_overmind_is_not_found_is_a_session_in_the_end(
    room, discovery, overminds_server, later
):
    room.bus.publish(ProcessRenamed(overminds_server))
    while later and not opened(room):
        _, call, arguments = later.pop(0)
        call(*arguments)
    assert opened(room)[0].name == OVERMINDS
    assert opened(room)[0].kind is Kind.TMUX


def test_a_server_that_ends_while_its_overmind_is_sought_is_let_go(room, discovery, overminds_server, later):
    room.bus.publish(ProcessRenamed(overminds_server))
    os.kill(overminds_server, 9)
    until(lambda: dead(overminds_server))
    comes(later)
    assert opened(room) == []
    assert len(room.handles) == 0
