"""What sessions people begin: each move is a short story on the little kernel.

Whoever makes a move knows what it is meant for; that is written into ``Process.wish`` and
``House``, where the oracle finds it and the agent cannot look.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.model.door import OVERMINDS
from tests.model.kernel import NOTHING, OUR_SHELL, PIPE, TMUX, UID, House, Kernel, Process

NEVER_KILLED = frozenset({"postgres", "git", "npm"})
"""Programs that are asked to end, and no more."""
_START_NOTHING_MORE = frozenset((TMUX, "overmind", "sentinel"))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
Registered = Callable[[Process, Process | None], bool]
"""Called when a ``sentinel run`` tells the agent of itself: its wrapper, and its command or None.
False: the agent could not tell who it was, and knows of no such session."""

Around = Callable[[Process], House | None]
"""The session in which one is known to have been born."""

Keep = Callable[[Process], bool]
"""Called when a person says ``sentinel keep``. False: nobody was there to hear it."""


class Founders:
    """The moves. Each takes its own randomness, so that a history without one of them is still a history."""

    def __init__(
        self, kernel: Kernel, registered: Registered, seen: Callable[[], bool], keep: Keep, around: Around
    ) -> None:
        self.kernel = kernel
        self.houses: list[House] = []
        self.waiting: list[Process] = []
        """Wrappers whose word the agent has not read yet."""
        self._registered = registered
        self._seen = seen
        self._keep = keep
        self._around = around

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

    def _found(self, kind: str, root: Process, name: str = "") -> House:
        house = House(kind, root, self._around(root), name)
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
        if host.founded is None and host.name == name:  # a worker, whose launcher may be gone before anybody looks
            name = "gemini"
        self.kernel.execute(root, name, program=f"/usr/bin/{name}")
        if host.founded is None or host.name != name:
            self._found("agent", root)
        return root

    def run(self, rng: Random) -> Process:
        wrapper = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(wrapper, "sentinel", "run", "npm")
        wrapper.subreaper = True
        house = self._found("run", wrapper, "gt-1-crew-max" if rng.random() < 0.06 else "dev")
        if rng.random() < 0.2:
            wrapper.input, wrapper.feeder = f"pipe:[{wrapper.pid}]", self.kernel.table[OUR_SHELL]
        house.unheard = not self._registered(wrapper, None)
        if wrapper not in self.waiting:
            self.begin(house)
        return wrapper

    def begin(self, house: House) -> None:
        """A wrapper that was answered starts its command."""
        command = house.command = self.kernel.fork(house.root)
        self.kernel.execute(command, "npm", "run", "dev")
        self._registered(house.root, command)

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
        panes = [house for house in self._living("pane") if house.root.name == "bash"]
        # Who hears of both at once takes an agent under an agent of that name for its worker.
        if panes := [house for house in panes if not any(child.founded for child in house.root.children)]:
            house = rng.choice(panes)
            house.kind = "agent"
            self.kernel.execute(house.root, "claude")
