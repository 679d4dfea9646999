"""What becomes of sessions and their programs, and how often people do what."""

from __future__ import annotations

import signal
from random import Random

from tests.model.kernel import ROOT_UID, House
from tests.model.programs import Programs


class People(Programs):
    """Everybody, with all their moves."""

    # -- what becomes of them --------------------------------------------------------

    def stop(self, rng: Random) -> None:
        self._one(rng, self._all()).state = "T"

    def go_on(self, rng: Random) -> None:
        if stopped := [p for p in self.kernel.living() if p.state == "T"]:
            one = rng.choice(stopped)
            if one.house is not None and not one.house.alive:
                one.excused = True  # it was stopped when that was answered, if it was there
            self.kernel.signal(one, signal.SIGCONT)

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
    ("late_daemon", 1),
    ("last_moment", 2),
    ("stranger", 5),
    ("known_program", 2),
    ("keep", 2),
    ("keep_by_environment", 1),
    ("client", 3),
    ("disconnect", 1),
    ("feed", 1),
    ("unit", 1),
    ("window", 1),
    ("secret", 1),
    ("debug", 1),
    ("stopped_job", 1),
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
