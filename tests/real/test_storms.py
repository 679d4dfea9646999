"""Storms: more births, files and processes than fit into a queue or under a limit.

Each is over in a few seconds here and lasts as long as it should by ``make soak``. What is
asserted is the same: what is known is right soon after, what was lost or fell short is said
once, and memory comes back.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time

import pytest

from benchmarks import gauges
from benchmarks.lab import QUIET, Lab, dismiss, first_line

pytestmark = [pytest.mark.real, pytest.mark.soak]

FULL = os.environ.get("SENTINEL_SOAK") == "full"
FORKS_A_SECOND = 5000
SECONDS = 60 if FULL else 2
FILES = 40_000 if FULL else 10_000
QUEUE = 16_384
"""What the kernel's queue of file events holds (fs.inotify.max_queued_events)."""
SOON = 2.0 if FULL else 10.0
"""Seconds until all is right again. Beside other tests it is a bound against hanging; alone it is the promise."""
GROWTH = 10.0
"""MiB."""


@pytest.fixture(scope="module")
def lab():
    if os.geteuid() != 0:
        pytest.skip("missing: root (to run the agent as a user of its own)")
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    for program in ("gcc", "tmux"):
        if shutil.which(program) is None:
            pytest.skip(f"missing: {program}")
    with Lab() as lab:
        yield lab


def soon(true, what):
    deadline = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < deadline, f"{what} has not come true within {SOON:g} s"
        time.sleep(0.02)


class Servers:
    """tmux servers of the lab's user, one in each directory: the agent watches where their sockets are."""

    def __init__(self, lab):
        self.lab = lab
        self._handles = []

    def start(self, *names):
        """Servers whose sockets are ``NAME/s``; returns the paths of the sockets."""
        sockets = []
        for name in names:
            directory = self.lab.directory / name
            if not directory.exists():
                directory.mkdir(0o700)
                os.chown(directory, self.lab.uid, self.lab.uid)
            socket = directory / f"s{len(self._handles)}"
            words = ["tmux", "-f", "/dev/null", "-S", str(socket)]
            dismiss(self.lab.start([*words, "new-session", "-d", "sleep 1000"]))
            asked = self.lab.start([*words, "display-message", "-p", "#{pid}"])
            self._handles.append(os.pidfd_open(int(dismiss(asked))))
            sockets.append(socket)
        return sockets

    def kill(self):
        """All of them, the hard way: each leaves its socket."""
        for handle in self._handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)

    def close(self):
        self.kill()
        for handle in self._handles:
            os.close(handle)


@pytest.fixture
def servers(lab):
    with contextlib.closing(Servers(lab)) as servers:
        yield servers


def said(agent, kind, source):
    """What was said about a source, as often as it was."""
    records = [record["data"] for record in agent.journal() if record["type"] == f"dev.sentinel.{kind}"]
    return [data["why"] for data in records if data["source"] == source]


def all_closed(agent):
    return agent.count("session.opened") == agent.count("session.closed")


def bear_and_die(lab, rate, seconds, keep):
    """A session bears so many children a second, of which every so many-th stays; then its root is killed."""
    forker = lab.start([lab.actor("stormy/claude"), str(rate), str(seconds), str(keep)])
    handles = []
    try:
        births, _, *stayed = map(int, first_line(forker).split())
        assert births == rate * seconds
        assert stayed
        handles = [os.pidfd_open(pid) for pid in stayed]
        os.kill(forker.pid, signal.SIGKILL)  # not reaped yet
        soon(lambda: not any(alive(handle) for handle in handles), "that nothing of the session is left")
    finally:
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        dismiss(forker)


def alive(handle):
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return not poll.poll(0)


def test_of_a_storm_of_forks_in_a_session_nothing_stays(lab):
    with lab.agent() as agent:
        before = gauges.resident(agent.pid)
        bear_and_die(lab, FORKS_A_SECOND, SECONDS, 250)
        soon(lambda: all_closed(agent), "that the agent knows of it")
        assert agent.count("handler.failed") == 0
        assert gauges.resident(agent.pid) - before < GROWTH


def test_a_storm_of_files_costs_no_state(lab, servers):
    [socket] = servers.start("busy")
    with lab.agent() as agent:
        agent.wait_for("session.opened", 2)  # the server, and its pane
        before = gauges.resident(agent.pid)
        flood(socket.parent, FILES)
        servers.kill()
        soon(lambda: not socket.exists(), "that the socket is removed")
        soon(lambda: all_closed(agent), "that the agent knows of it")
        assert agent.count("handler.failed") == 0
        assert gauges.resident(agent.pid) - before < GROWTH


def flood(directory, files):
    """Two events for each file."""
    for number in range(files):
        path = f"{directory}/f{number % 100}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        os.unlink(path)


def test_when_the_queue_of_file_events_overflows_what_was_lost_is_looked_up(lab, servers):
    [first] = servers.start("busy")
    with lab.agent() as agent:
        agent.wait_for("session.opened", 2)
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            flood(first.parent, QUEUE // 2 + 1000)
            [second] = servers.start("busy")  # word of its socket does not fit into the queue any more
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        agent.wait_for("session.opened", 4)
        soon(lambda: said(agent, "source.lost", "files"), "that the loss is said")
        assert len(said(agent, "source.lost", "files")) == 1
        servers.kill()
        soon(lambda: not first.exists() and not second.exists(), "that both sockets are removed")
        soon(lambda: all_closed(agent), "that the agent knows of it")


def test_beyond_the_limit_of_watches_it_says_so_once_and_misses_nothing(lab):
    """The limit holds in a user namespace of the agent's own: nobody else is short of watches.

    Nobody may look into a process of another user namespace, so the servers are in it too.
    """
    places = [lab.directory / f"place{number}" for number in range(12)]
    for place in places:
        place.mkdir(0o700)
        os.chown(place, lab.uid, lab.uid)
    servers = "".join(f"tmux -f /dev/null -S {place}/s new-session -d 'sleep 1000'\n" for place in places)
    without_rights = ["setpriv", "--ambient-caps=-all", "--inh-caps=-all"]
    limited = ["unshare", "--user", "--keep-caps", f"--map-user={lab.uid}", f"--map-group={lab.uid}"]
    limited += ["sh", "-c", 'echo 8 >/proc/sys/user/max_inotify_watches && exec "$@"', "sh", *without_rights]
    with lab.agent(wrapper=[*limited, "sh", "-c", f'{servers} exec "$@"', "sh"]) as agent:
        agent.wait_for("session.opened", 24)
        [why] = said(agent, "source.degraded", "files")
        assert "max_user_watches" in why
        for record in agent.journal():
            session = record["data"].get("session")
            if record["type"] == "dev.sentinel.session.opened" and session["kind"] == "tmux":
                kill(int(session["root"].partition("@")[0]), lab.uid)
        soon(lambda: all_closed(agent), "that the agent knows of it")
        # In such a namespace root is nobody, and nothing is removed below what belongs to a stranger.
        assert agent.count("action.intended") == len(places)
        assert len(said(agent, "source.degraded", "files")) == 1


def kill(pid, uid):
    """End a process of the lab's user, and nobody else."""
    handle = os.pidfd_open(pid)
    try:
        assert os.stat(f"/proc/{pid}").st_uid == uid
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def test_beyond_the_limit_of_descriptors_it_says_so_once_and_ends_what_it_should(lab):
    with lab.agent(QUIET, wrapper=["prlimit", "--nofile=64:64"]) as agent:
        crowd = lab.running([lab.actor("crowd"), "40", lab.actor("claude"), "session", "2"])
        with crowd:
            agent.wait_for("session.opened", 40)
            assert gauges.descriptors(agent.pid) <= 64
            bear_and_die(lab, 20, 1, 2)
        soon(lambda: all_closed(agent), "that the agent knows that all have ended")
        assert len(said(agent, "source.degraded", "handles")) == 1
        bear_and_die(lab, 20, 1, 2)
        assert agent.count("handler.failed") == 0
        assert len(said(agent, "source.degraded", "handles")) == 1
