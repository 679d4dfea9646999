"""Starts a project: looks first, clears its own leftovers out of the way, starts, and makes sure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sentinel.clocks import day_and_time
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.environments import notes, wording
from sentinel.environments.health import faults
from sentinel.environments.launch import Launch, Launched
from sentinel.environments.notes import Started
from sentinel.environments.project import Project
from sentinel.environments.scene import OVERMIND, Manager, Survey
from sentinel.environments.survey import survey
from sentinel.errors import SentinelError
from sentinel.observe import processes, tmux
from sentinel.observe.age import age
from sentinel.paths import Paths

_PATIENCE = 10.0
"""Seconds in which what was started must stand."""
_LOOK_EVERY = 0.05
_STEADY = 0.4
"""Seconds for which a project without ports must have stood: a command that cannot run ends at once."""
_TO_RISE = 0.5
"""Seconds that a process which has ended may take to be there again: Overmind can be told to restart one."""
_ANSWER = 1.0
"""Seconds that tmux may take for an answer."""


class CannotStart(SentinelError):
    """The project was not started, and why."""


class Start:
    """One start of one project.

    Args:
        sweep: Clears away what is left of it, see ``Stop.sweep``. Whether nothing of it is left.
        say: Takes a line.
    """

    def __init__(
        self, where: Paths, project: Project, sweep: Callable[[Survey], bool], say: Callable[[str], object]
    ) -> None:
        self._where = where
        self._project = project
        self._sweep = sweep
        self._say = say
        self._fell = 0.0
        """When a process was first seen to have ended, in monotonic seconds; 0 for never."""

    def run(self, by: str) -> bool:
        """Start it. Whether it stands; False: it was started, and something of it is missing.

        Args:
            by: Who asks for it, as a noun phrase.

        Raises:
            CannotStart: It may not be started now.
        """
        seen = survey(self._where, self._project)
        launch = Launch(self._where, self._project)
        if seen.manager is None:
            launch.refuse()
            seen = self._clear_the_way(seen)
        if (manager := seen.manager) is not None:
            self._tell_of(seen, manager)
            return True
        self._say(f"starting {clean(self._project.name)} with {wording.MANAGERS[launch.manager]}")
        launched = launch.go()
        if launched.kind != OVERMIND and isinstance(launched.who, ProcessId):
            self._remember(launch, launched.who, by)
        seen, missing = self._wait(launched)
        if (manager := seen.manager) is not None and manager.kind == OVERMIND:
            self._remember(launch, manager.facts.id, by)
        if missing and not self._is_only_a_guess(seen):
            self._say(f"{clean(self._project.name)} does not stand: {missing}")
            return False
        for fault in faults(seen):
            self._say(f"  but {fault}")
        self._say(f"{clean(self._project.name)} runs: {count(len(self._project.processes) or 1, 'process')}")
        for line in (*wording.urls(seen), f"logs: {wording.command('logs', self._project)}"):
            self._say(f"  {line}")
        return True

    # -- before ------------------------------------------------------------------------

    def _tell_of(self, seen: Survey, manager: Manager) -> None:
        started = seen.started
        known = started is not None and notes.root_of(started) == manager.facts.id
        since = started.since if known and started is not None else time.time() - age(manager.facts.id)
        when = day_and_time(since)
        by = f", started by {clean(started.by)}" if known and started is not None else ""
        self._say(
            f"{clean(self._project.name)} runs already: {wording.MANAGERS[manager.kind]}"
            f" (pid {manager.facts.id.pid}) since {when}{by}"
        )
        for line in wording.urls(seen):
            self._say(f"  {line}")
        if known and started is not None:
            self._say(f"  logs: {clean(started.logs, 400)}")
        for fault in faults(seen):
            self._say(f"  but {fault}; mend it with: {wording.command('restart', self._project)}")

    def _clear_the_way(self, seen: Survey) -> Survey:
        """End and remove what is left of the project itself; a stranger is named and not touched.

        What a look shows after that: somebody else may have started it meanwhile.
        """
        if isinstance(seen.ports, Unknown) and self._project.ports:
            self._say(f"{seen.ports}: whether its ports are free is not known")
        if seen.claims or seen.stale_socket or seen.dead_sockets or seen.directories:
            self._say("clearing away what is left of it:")
            self._sweep(seen)
            seen = survey(self._where, self._project)
        if seen.manager is not None:
            return seen
        if seen.stale_socket:
            raise CannotStart(f"{clean(self._project.socket, 400)} is in the way, and stays: see above")
        for port, held in seen.ports.items() if isinstance(seen.ports, dict) else ():
            for one in held:
                whose = "which stays: see above" if one.ours else "which is not the project's"
                advice = "end that one yourself, or give the project another port"
                raise CannotStart(f"port {port} is held by {wording.holder(one)}, {whose}; {advice}")
        return seen

    # -- after -------------------------------------------------------------------------

    def _wait(self, launched: Launched) -> tuple[Survey, str]:
        """Look until all of it stands, or cannot any more. What is missing at the end; empty for nothing."""
        deadline = time.monotonic() + _PATIENCE
        steady = 0.0
        self._fell = 0.0
        while True:
            seen = survey(self._where, self._project)
            missing = launched.trouble() or self._what_is_missing(seen)
            now = time.monotonic()
            if missing:
                steady = 0.0
            elif not steady:
                steady = now
            elif now - steady >= (0.0 if self._project.ports else _STEADY):
                return seen, ""
            if launched.is_hopeless(seen) or now > deadline or (self._fell and now - self._fell > _TO_RISE):
                return seen, missing or "it did not come to rest"
            time.sleep(_LOOK_EVERY)

    def _what_is_missing(self, seen: Survey) -> str:
        manager = seen.manager
        if manager is None:
            return "what was to stand over it does not run"
        fallen = self._panes(seen) if manager.kind == OVERMIND else ""
        return fallen or next(iter(faults(seen)), "")

    def _panes(self, seen: Survey) -> str:
        """What Overmind's panes lack of the Procfile's processes; empty for nothing."""
        server = next((one for one in seen.servers if one.managed and one.socket is not None), None)
        if server is None or server.socket is None:
            return "its tmux server has no socket"
        import asyncio

        panes = asyncio.run(tmux.list_panes(server.socket, _ANSWER))
        if isinstance(panes, Unknown):
            return str(panes)
        living = [pane for pane in panes if not pane.dead]
        if len(living) < len(panes):
            self._fell = self._fell or time.monotonic()
        wanted = len(self._project.processes)
        return "" if len(living) >= wanted else f"only {len(living)} of {count(wanted, 'process')} came up"

    def _is_only_a_guess(self, seen: Survey) -> bool:
        """Whether all that is missing are ports of which only the Procfile's commands speak."""
        free = {port for port, held in seen.ports.items() if not held} if isinstance(seen.ports, dict) else set()
        return bool(free) and len(list(faults(seen))) == len(free) and not free & set(self._project.wishes.ports)

    def _remember(self, launch: Launch, who: ProcessId, by: str) -> None:
        started = Started(processes.boot_id(), launch.manager, who.pid, who.start, time.time(), by, str(launch.logs))
        try:
            notes.write(self._where, self._project, replace(notes.read(self._where, self._project), started=started))
        except OSError as error:
            self._say(f"how it was started cannot be written down: {error.strerror}")
