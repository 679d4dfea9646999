"""What is started in the sessions, and who wants it: moves as in ``founders``."""

from __future__ import annotations

from random import Random

from tests.model.founders import Founders
from tests.model.kernel import NOTHING, OUR_SHELL, PIPE, TERMINAL, UID, Process

_KNOWN = (
    ("zellij", "/usr/bin/zellij"),
    ("node", "/home/u/.vscode-server/bin/node"),
    ("kitty", "/usr/bin/kitty"),
    ("dbus-daemon", "/usr/bin/dbus-daemon"),
    ("watchman", "/usr/bin/watchman"),
    ("conmon", "/usr/bin/conmon"),
)
"""A program of each kind that docs/rules.md promises to spare, and where it lies."""


class Programs(Founders):
    """What programs do, and what people wish of them."""

    # -- what is started in them -----------------------------------------------------

    def job(self, rng: Random) -> Process:
        job = self.kernel.fork(self._one(rng, self._hosts()))
        if rng.random() < 0.4:
            job.group = job.pid
        if rng.random() < 0.4:
            job.stdio = rng.choice((NOTHING, PIPE, TERMINAL))
        if rng.random() < 0.8:
            self.kernel.execute(job, rng.choice(("node", "python3", "vite", "vim", "postgres", "git")))
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

    def late_daemon(self, rng: Random) -> None:
        """One that has lost its parent makes a session of its own long after."""
        if lost := [p for p in self._hosts() if p.left and p.bearer.status == 0 and p.group != p.pid and not p.founded]:
            daemon = rng.choice(lost)
            self.kernel.setsid(daemon)
            daemon.stdio = NOTHING
            daemon.wish = daemon.wish or "daemonised"

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
        stranger = self.kernel.fork(rng.choice((self.kernel.init, self.kernel.table[OUR_SHELL])))
        stranger.uid = UID
        self.kernel.execute(stranger, rng.choice(("node", "bash", "vim", "claude-notes")))

    # -- what is wanted of them, and by whom ------------------------------------------

    def known_program(self, rng: Random) -> None:
        """A program that many rely on, whoever started it."""
        one = self.kernel.fork(self._one(rng, self._hosts()))
        name, program = rng.choice(_KNOWN)
        self.kernel.execute(one, name, program=program)
        one.wish = "known program"

    def keep(self, rng: Random) -> None:
        """``sentinel keep PID``: it, and all that it bears from now on."""
        one = self._one(rng, [p for p in self._all() if p.house is not None or p.founded is not None])
        if self._keep(one):
            one.kept = True
            for below in self._below(one):
                below.kept = True

    def _below(self, top: Process) -> list[Process]:
        """What it bore that still hangs under it, in its own session: no foundlings."""
        house = top.founded or top.house
        found, todo = [], [top]
        while todo:
            for child in todo.pop().children:
                if child.alive and child.house is house and child.founded is None and child.bearer is child.parent:
                    found.append(child)
                    todo.append(child)
        return found

    def keep_by_environment(self, rng: Random) -> None:
        one = self.kernel.fork(self._one(rng, self._hosts()))
        one.environment["SENTINEL_KEEP"] = "1"
        self.kernel.execute(one, "node")

    def client(self, rng: Random) -> None:
        """A browser, another session's tool: somebody outside is connected to it."""
        if servers := [p for p in self._all() if p.house is not None and p.founded is None and not p.secret]:
            server = rng.choice(servers)
            outside = [p for p in self._all() if p.house is not server.house and p is not server]
            if outside:
                server.clients.append(rng.choice(outside))

    def disconnect(self, rng: Random) -> None:
        if servers := [p for p in self._all() if p.clients]:
            rng.choice(servers).clients.clear()

    def feed(self, rng: Random) -> None:
        """Somebody outside writes into its input."""
        one = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(one, "node", "mcp.js")
        outside = [p for p in self._all() if p.house is not one.house and p is not one]
        if outside:
            one.input, one.feeder, one.stdio = f"pipe:[{one.id}]", rng.choice(outside), PIPE

    def unit(self, rng: Random) -> None:
        """``systemd-run``, or a desktop that puts what it starts into a unit."""
        one = self.kernel.fork(self._one(rng, self._hosts()))
        one.unit = f"/user.slice/app.slice/web{rng.randrange(3)}.service"
        self.kernel.execute(one, "node")

    def window(self, rng: Random) -> None:
        one = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(one, "viewer")
        one.on_screen = True

    def secret(self, rng: Random) -> None:
        one = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(one, "key-holder")
        one.secret = True

    def debug(self, rng: Random) -> None:
        """A debugger, and what it debugs, in one session."""
        debugger = self.kernel.fork(self._one(rng, self._hosts()))
        self.kernel.execute(debugger, "gdb")
        debuggee = self.kernel.fork(debugger)
        self.kernel.execute(debuggee, "node")
        debuggee.tracer = debugger.pid

    def stopped_job(self, rng: Random) -> None:
        """A job in a group of its own that was stopped with Ctrl-Z."""
        shell = self._one(rng, self._hosts())
        job = self.kernel.fork(shell)
        job.group = job.pid
        self.kernel.execute(job, "vim")
        job.state = "T"
