"""How long killed tmux sessions wait for our hooks while no agent looks: stopped, and gone."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lab import CannotMeasureError, Lab
from benchmarks.table import Figure
from sentinel import paths
from sentinel.integrations.tmux import HINTED, lines

_SESSIONS = 20
_LAST_PANE = 200.0
"""Milliseconds until every pane's process is gone, at worst."""
_ANSWER = 50.0
"""Milliseconds until the server has answered the first question after that, at worst."""
_QUIET = 0.1
"""Seconds before a kill, for what the births of the sessions have started to be over."""
_PATIENCE = 10.0


def tmux(lab: Lab, rounds: int) -> Iterator[Figure]:
    """Kill 20 sessions at once, of a server with our hooks and of one without, in turns."""
    if shutil.which("tmux") is None:
        raise CannotMeasureError("measuring tmux needs it: apt-get install tmux")
    with lab.agent() as agent:
        os.kill(agent.pid, signal.SIGSTOP)  # before there is a server: so it looks at none
        try:
            where = paths.find(agent.environment)
            with _servers(lab, where, "stopped") as servers:
                _play(servers, rounds)
            if not where.hints.exists():
                raise CannotMeasureError("no hook has left a hint for the agent that was stopped")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
    yield from _figures("stopped", servers)
    with _servers(lab, where, "gone") as servers:
        _play(servers, rounds)
    yield from _figures("gone", servers)


def _play(servers: Sequence[_Server], rounds: int) -> None:
    # bare, hooked, hooked, bare, ...: what grows slower with the time falls upon both
    for server in itertools.islice(itertools.cycle((*servers, *reversed(servers))), 2 * rounds):
        server.round()


def _figures(agent: str, servers: Sequence[_Server]) -> Iterator[Figure]:
    bare, hooked = servers
    what = f"{_SESSIONS} tmux sessions killed, agent {agent}"
    yield _figure(f"{what}: last pane gone", hooked.gone, bare.gone, _LAST_PANE)
    yield _figure(f"  agent {agent}: the server's first answer", hooked.answered, bare.answered, _ANSWER)


def _figure(what: str, took: Sequence[float], floor: Sequence[float], goal: float) -> Figure:
    return Figure(
        f"{what}, median and worst of {len(took)}",
        _two(took),
        _two(floor),
        statistics.median(took) / statistics.median(floor),
        f"< {goal:.0f} ms",
        max(took) < goal,
    )


def _two(took: Sequence[float]) -> str:
    return f"{statistics.median(took):.0f} / {max(took):.0f} ms"


@contextlib.contextmanager
def _servers(lab: Lab, where: paths.Paths, agent: str) -> Iterator[tuple[_Server, _Server]]:
    """A server without hooks, and one with them."""
    directory = Path(lab.directory, f"tmux-{agent}")
    directory.mkdir(0o700)
    os.chown(directory, lab.uid, lab.uid)
    hooks = Path(lab.directory, f"tmux-{agent}.conf")
    hooks.write_text(lines(where))
    bare, hooked = _Server(lab, directory / "bare"), _Server(lab, directory / "hooked", hooks)
    try:
        yield bare, hooked
    finally:
        for server in (bare, hooked):
            server.end()


@dataclass(slots=True)
class _Server:
    lab: Lab
    socket: Path
    hooks: Path = Path(os.devnull)
    """Its configuration."""
    gone: list[float] = field(default_factory=list)
    """Milliseconds from the kill's beginning until the last pane was gone, by round."""
    answered: list[float] = field(default_factory=list)
    """Milliseconds that the first question after that took, by round."""

    def round(self) -> None:
        """Make sessions, and kill all but the one that keeps the server."""
        names = ["keep", *map(str, range(_SESSIONS))] if not self.socket.exists() else map(str, range(_SESSIONS))
        born = [["new-session", "-d", "-s", name, "exec sleep 600", ";"] for name in names]
        self._ask(*itertools.chain.from_iterable(born))
        panes = self._ask("list-panes", "-a", "-F", "#{session_name} #{pane_pid}").splitlines()
        pids = [int(pid) for name, _, pid in (pane.partition(" ") for pane in panes) if name != "keep"]
        time.sleep(_QUIET)
        # As if an agent had looked after the births: else no hook would start anything now.
        self._ask("set-option", "-gqu", HINTED)
        began = time.perf_counter()
        with contextlib.ExitStack() as stack:
            handles = [os.pidfd_open(pid) for pid in pids]
            for handle in handles:
                stack.callback(os.close, handle)
            kill = self._start("kill-session", "-a", "-t", "keep")
            _all_ended(handles)
        ended = time.perf_counter()
        left = self._ask("list-sessions", "-F", "#{session_name}")
        self.gone.append((ended - began) * 1e3)
        self.answered.append((time.perf_counter() - ended) * 1e3)
        _said(kill)
        fired = self._ask("show-options", "-gqv", HINTED).strip() == "1"
        if left != "keep\n" or len(pids) != _SESSIONS or fired is (self.hooks == Path(os.devnull)):
            raise CannotMeasureError(f"tmux killed {len(pids)} sessions, left {left!r}, and its hooks fired: {fired}")

    def end(self) -> None:
        """End it with all that is in it."""
        self._start("kill-server").communicate(timeout=_PATIENCE)

    def _ask(self, *words: str) -> str:
        return _said(self._start(*words))

    def _start(self, *words: str) -> subprocess.Popen[str]:
        command = ["tmux", "-S", str(self.socket), "-f", str(self.hooks), *words]
        return self.lab.start(command, errors=subprocess.STDOUT)


def _said(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=_PATIENCE)
    if process.returncode:
        raise CannotMeasureError(f"tmux: {said.strip()}")
    return str(said)


def _all_ended(handles: Sequence[int]) -> None:
    """Return once each of these processes has ended."""
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left, deadline = set(handles), time.monotonic() + _PATIENCE
    while left:
        ended = [handle for handle, _ in poll.poll(_PATIENCE * 1000)]
        for handle in ended:
            poll.unregister(handle)
        left.difference_update(ended)
        if left and time.monotonic() > deadline:
            raise CannotMeasureError(f"{len(left)} panes outlive their session")
