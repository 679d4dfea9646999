"""What people and their programs do: each move is a short story on the little kernel.

Whoever makes a move knows what it is meant for; that is written into ``Process.wish`` and
``House``, where the oracle finds it and the agent cannot look.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from random import Random

from tests.model.door import OVERMINDS
from tests.model.kernel import NOTHING, PIPE, ROOT_UID, TERMINAL, TMUX, UID, House, Kernel, Process

_START_NOTHING_MORE = frozenset((TMUX, "overmind", "sentinel"))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
Registered = Callable[[Process, Process | None], None]
"""Called when a ``sentinel run`` tells the agent of itself: its wrapper, and its command or None."""


class People:
    """The moves. Each takes its own randomness, so that a history without one of them is still a history."""

    def __init__(self, kernel: Kernel, registered: Registered, seen: Callable[[], bool]) -> None:
        self.kernel = kernel
        self.houses: list[House] = []
        self._registered = registered
        self._seen = seen

    # -- whom a move is about --------------------------------------------------------

    def _all(self) -> list[Process]:
        return [p for p in self.kernel.living() if p.pid >= 100 and p.uid == UID and not p.foreign and p.state != "T"]

    def _hosts(self) -> list[Process]:
        """Those that can start something."""
        return [p for p in self._all() if p.name not in _START_NOTHING_MORE]

    def _one(self, rng: Random, among: list[Process]) -> Process:
        return rng.choice(among) if among else self.terminal(rng)

    def _living(self, *kinds: str) -> list[House]:
        return [house for house in self.houses if house.alive and house.kind in kinds]

    def _found(self, kind: str, root: Process) -> House:
        house = House(kind, root, root.house)
        root.founded = house
        self.houses.append(house)
        return house

    # -- sessions --------------------------------------------------------------------

    def terminal(self, rng: Random) -> Process:
        """A terminal that nobody watches."""
        shell = self.kernel.fork(self.kernel.init)
        shell.uid = UID
        self.kernel.setsid(shell, terminal=True)
        self.kernel.execute(shell, "bash")
        return shell

    def agent(self, rng: Random) -> Process:
        """A coding agent. One that an agent of the same name starts directly is that one's own worker."""
        host = self._one(rng, self._hosts())
        root = self.kernel.fork(host)
        if rng.random() < 0.3:
            self.kernel.setsid(root)
            root.stdio = rng.choice((PIPE, NOTHING))
        name = rng.choice(("claude", "codex"))
        self.kernel.execute(root, name, program=f"/usr/bin/{name}")
        if host.name != name:
            self._found("agent", root)
        return root

    def run(self, rng: Random) -> Process:
        wrapper = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(wrapper, "sentinel", "run", "npm")
        wrapper.subreaper = True
        house = self._found("run", wrapper)
        self._registered(wrapper, None)
        command = house.command = self.kernel.fork(wrapper)
        self.kernel.execute(command, "npm", "run", "dev")
        self._registered(wrapper, command)
        return wrapper

    def overmind(self, rng: Random) -> Process:
        root = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(root, "overmind", "start")
        house = self._found("overmind", root)
        if rng.random() < 0.3:  # overmind start -D
            heir = self.kernel.fork(root)
            heir.house, heir.founded, house.root = house.outer, house, heir
            root.house, root.founded = house, None
            self.kernel.setsid(heir)
            heir.stdio = NOTHING
            self.kernel.execute(heir, "overmind", "start")
            self.kernel.end(root, 0)
            root = heir
        label = OVERMINDS + "".join(rng.choices(_LETTERS, k=21))
        client = self.kernel.fork(root)
        client.stdio = PIPE
        self.kernel.execute(client, "tmux", "-C", "-L", label)
        server = self._serve(client, label)
        server.overminds = True
        for _ in range(rng.randrange(3)):
            pane = self._open_pane(server)
            self.kernel.execute(pane, "sh", "web.sh")
            if rng.random() < 0.6:
                self.kernel.execute(self.kernel.fork(pane), "node", "server.js")
        return root

    def server(self, rng: Random) -> Process:
        """A tmux server, started by whoever types ``tmux``."""
        client = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(client, "tmux", "new", "-d")
        server = self._serve(client, rng.choice(("default", "work", "/run/odd.sock")))
        self._found("tmux", server)
        self.kernel.end(client, 0)
        return server

    def _serve(self, client: Process, label: str) -> Process:
        between = self.kernel.fork(client)
        self.kernel.setsid(between)
        server = self.kernel.fork(between)
        server.stdio, server.arguments = NOTHING, ("tmux", "-L", label)
        self.kernel.end(between, 0)
        self.kernel.rename(server, TMUX)
        server.terminal = 0
        return server

    def _open_pane(self, server: Process) -> Process:
        pane = self.kernel.fork(server)
        self.kernel.setsid(pane, terminal=True)
        return pane

    def pane(self, rng: Random) -> Process:
        servers = self._living("tmux")
        server = rng.choice(servers).root if servers else self.server(rng)
        pane = self._open_pane(server)
        pane.environment["TMUX_PANE"] = f"%{pane.pid}"
        self._found("pane", pane)
        if rng.random() < 0.2:  # tmux new-window claude
            self.kernel.execute(pane, "claude")
            pane.founded.kind = "agent"
        else:
            self.kernel.execute(pane, "bash")
        return pane

    def shell_becomes_agent(self, rng: Random) -> None:
        """``exec claude`` in a pane's shell."""
        if panes := [house for house in self._living("pane") if house.root.name == "bash"]:
            house = rng.choice(panes)
            house.kind = "agent"
            self.kernel.execute(house.root, "claude")

    # -- what is started in them -----------------------------------------------------

    def job(self, rng: Random) -> Process:
        job = self.kernel.fork(self._one(rng, self._hosts()))
        if rng.random() < 0.4:
            job.group = job.pid
        if rng.random() < 0.4:
            job.stdio = rng.choice((NOTHING, PIPE, TERMINAL))
        if rng.random() < 0.8:
            self.kernel.execute(job, rng.choice(("node", "npm", "vite", "vim")))
        if job.hangup == "default" and rng.random() < 0.2:
            job.hangup = rng.choice(("caught", "caught", "ignored"))
            if job.hangup == "ignored" and not job.stdio.terminal:
                job.wish = "ignores the hang-up"
        job.stubborn = rng.random() < 0.15
        job.fruitful = rng.randrange(1, 3) if rng.random() < 0.1 else 0
        return job

    def tool(self, rng: Random) -> None:
        """An agent's tool shell that leaves ``cmd &`` behind, from itself or from a subshell."""
        agents = self._living("agent")
        shell = self.kernel.fork(rng.choice(agents).root if agents else self.agent(rng))
        shell.stdio = rng.choice((PIPE, NOTHING))
        if rng.random() < 0.7:
            self.kernel.setsid(shell)
        self.kernel.execute(shell, "sh", "-c", "server &")
        bearer = self.kernel.fork(shell) if rng.random() < 0.4 else shell
        job = self.kernel.fork(bearer)
        self.kernel.execute(job, "node", "server.js")
        for gone in dict.fromkeys((bearer, shell)):
            self.kernel.end(gone, rng.choice((0, 0, 1 << 8, 9)))

    def nohup(self, rng: Random) -> None:
        """``nohup node server.js``: node may put its signals back to their defaults.

        That makes it a job like any other to who did not see ``nohup`` run: a known limit.
        """
        job = self.kernel.fork(self._one(rng, self._hosts()))
        job.stdio, job.hangup = rng.choice((NOTHING, PIPE)), "ignored"
        self.kernel.execute(job, "nohup", "node")
        job.wish = "nohup"
        seen = rng.random() < 0.5 and self._seen()
        self.kernel.execute(job, "node", "server.js")
        if seen:
            job.hangup = "default"

    def disown(self, rng: Random) -> None:
        panes = self._living("pane")
        jobs = [j for house in panes for j in house.root.children if j.alive and j.session == house.root.session]
        if jobs:
            job = rng.choice(jobs)
            job.wish = job.wish or "disowned"

    def daemon(self, rng: Random) -> None:
        """A double fork with a session of its own, as in the books."""
        between = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.setsid(between)
        daemon = self.kernel.fork(between)
        daemon.stdio = NOTHING
        if rng.random() < 0.3:
            self.kernel.setsid(daemon)
        self.kernel.end(between, 0)
        daemon.wish = "daemonised"
        if rng.random() < 0.5:
            self.kernel.execute(daemon, "serverd")
        for _ in range(rng.randrange(3)):
            self.kernel.fork(daemon)

    def setsid(self, rng: Random) -> None:
        """``setsid -f server``: its parent has ended, it leads a session, and holds nothing."""
        parent = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(parent, "setsid", "-f", "server")
        server = self.kernel.fork(parent)
        self.kernel.setsid(server)
        if rng.random() < 0.7:
            server.stdio = NOTHING
            server.wish = "daemonised"
        self.kernel.execute(server, "server")
        self.kernel.end(parent, 0)

    def last_moment(self, rng: Random) -> None:
        """A child in a session of its own, born just before its session is killed."""
        if houses := self._living("agent", "run", "overmind"):
            root = rng.choice(houses).root
            child = self.kernel.fork(root)
            self.kernel.setsid(child)
            child.stdio = NOTHING
            child.stubborn = rng.random() < 0.2
            self.kernel.end(root, rng.choice((9, 11, 15)))

    def stranger(self, rng: Random) -> None:
        """One of no session at all; it takes the first number that is free."""
        stranger = self.kernel.fork(rng.choice((self.kernel.init, self.kernel.table[49])))
        stranger.uid = UID
        self.kernel.execute(stranger, rng.choice(("node", "bash", "vim", "claude-notes")))

    # -- what becomes of them --------------------------------------------------------

    def stop(self, rng: Random) -> None:
        self._one(rng, self._all()).state = "T"

    def go_on(self, rng: Random) -> None:
        if stopped := [p for p in self.kernel.living() if p.state == "T"]:
            self.kernel.signal(rng.choice(stopped), signal.SIGCONT)

    def trace(self, rng: Random) -> None:
        one = self._one(rng, self._all())
        one.tracer = 0 if one.tracer else 77

    def sudo(self, rng: Random) -> None:
        job = self.kernel.fork(self._one(rng, self._hosts()))
        job.uid = ROOT_UID
        self.kernel.execute(job, "sudo", "make")

    def container(self, rng: Random) -> None:
        one = self.kernel.fork(self._one(rng, self._hosts()))
        one.foreign = True
        self.kernel.execute(one, "node")

    def adopter(self, rng: Random) -> None:
        """One that takes in whatever is lost below it, like a user's systemd."""
        one = self._one(rng, self._hosts())
        one.subreaper = True

    def neglect(self, rng: Random) -> None:
        """Whoever starts much and reaps nothing."""
        self._one(rng, self._hosts()).negligent = True

    def end(self, rng: Random) -> None:
        """One process ends, however."""
        if everyone := [p for p in self._all() if p.founded is None]:
            self.kernel.end(rng.choice(everyone), rng.choice((0, 0, 0, 1 << 8, 129 << 8, 9, 15, 1)))

    def end_of_a_session(self, rng: Random) -> None:
        """The root of a session is killed, or leaves in good order."""
        if not (houses := self._living("agent", "run", "overmind", "pane", "tmux")):
            return
        house = rng.choice(houses)
        if house.kind == "run":
            self._run_ends(house, rng)
        elif house.kind == "tmux":
            self._server_ends(house, rng)
        elif house.kind == "pane" and rng.random() < 0.5:
            self.kernel.hang_up(house.root)
        else:
            self.kernel.end(house.root, rng.choice((9, 9, 9, 0, 15, 11, 1 << 8, 130 << 8)))

    def _run_ends(self, house: House, rng: Random) -> None:
        if house.command is not None and rng.random() < 0.6:
            self.kernel.end(house.command, rng.choice((0, 9, 1 << 8)))
        self.kernel.end(house.root, rng.choice((0, 9)))

    def _server_ends(self, house: House, rng: Random) -> None:
        shells = [child for child in house.root.children if child.alive]
        self.kernel.end(house.root, rng.choice((0, 9, 15)))
        for shell in shells:
            if shell.name == "bash":
                self.kernel.hang_up(shell)
            else:
                self.kernel.signal(shell, signal.SIGHUP)

    def everything_at_once(self, rng: Random) -> None:
        """A terminal is closed over several sessions."""
        for house in self._living("agent", "run", "overmind"):
            if rng.random() < 0.5:
                self.kernel.end(house.root, 9)


MOVES: tuple[tuple[str, int], ...] = (
    ("terminal", 1),
    ("agent", 5),
    ("run", 3),
    ("overmind", 2),
    ("server", 2),
    ("pane", 5),
    ("shell_becomes_agent", 1),
    ("job", 14),
    ("tool", 5),
    ("nohup", 3),
    ("disown", 3),
    ("daemon", 4),
    ("setsid", 3),
    ("last_moment", 2),
    ("stranger", 5),
    ("stop", 2),
    ("go_on", 1),
    ("trace", 1),
    ("sudo", 1),
    ("container", 1),
    ("adopter", 1),
    ("neglect", 1),
    ("end", 9),
    ("end_of_a_session", 8),
    ("everything_at_once", 1),
)
"""Every move, and how often it is made."""
