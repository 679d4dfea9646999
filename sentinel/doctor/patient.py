"""The machine as the checks see it: one look, made before they begin, and what follows from it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from sentinel.config import Config
from sentinel.core.facts import ProcessFacts, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.doctor.findings import Asked, Finding
from sentinel.doctor.leftovers import Leftovers
from sentinel.observe import tmux
from sentinel.observe.tmux import TmuxServer
from sentinel.paths import Paths


@dataclass(slots=True)
class Patient:
    """What a check may look at. Checks run side by side: none may change anything."""

    where: Paths
    config: Config
    leftovers: Leftovers
    refused: str = ""
    """Why the configuration cannot be used, so that ``config`` has the defaults; empty when it can."""
    uid: int = field(default_factory=os.getuid)
    _found: list[Finding] | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def findings(self) -> list[Finding]:
        """Who was left behind. The first who asks has them looked for."""
        with self._turn:
            if self._found is None:
                self._found = self.leftovers.find(Asked())
            return self._found

    def offered(self) -> list[Finding]:
        """Those of them that a yes would end."""
        return [finding for finding in self.findings() if finding.target is not None]

    def tmux_servers(self) -> list[tuple[ProcessFacts, TmuxServer | Unknown]]:
        """Every tmux server of the user, by what the kernel says: a lost socket hides none."""
        servers = [facts for facts in self.leftovers.look.everyone.values() if facts.name == TMUX_SERVER]
        return [(facts, tmux.server_of(facts.id.pid)) for facts in servers]
