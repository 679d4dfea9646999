"""What agents can know of who was born in which session: the limits that docs/safety.md owns up to.

A birth is known when the kernel told of it, or when a look found the child under the one that
bore it. Of whom neither is true nobody can say where it came from; and an agent that is killed
takes with it what it has not saved yet.
"""

from __future__ import annotations

from tests.model.door import Door
from tests.model.kernel import House, Kernel, Process


class Memory:
    """Keeps ``Process.seen`` and ``Process.lost``, and what follows from them, as the machine goes along."""

    def __init__(self, kernel: Kernel, door: Door) -> None:
        self._kernel, self._door = kernel, door
        self._met: set[Process] = set()
        """Whom any agent has seen, be it one that is gone."""
        self._saved: frozenset[Process] = frozenset()
        self.wanted: set[Process] = set()
        """Of whom somebody said ``sentinel keep``."""

    def look(self, *, told: bool = False) -> None:
        """The agent looks at what lives now. ``told``: the kernel told of every birth up to now."""
        for process in list(self._kernel.table.values()):  # in the order of their births
            bearer = process.bearer
            if process.seen or bearer is None:
                continue
            process.seen = True
            self._met.add(process)
            with_its_bearer = process.parent is bearer and not self._door.fog
            if (bearer.lost and process.house is bearer.house) or not (told or with_its_bearer):
                self._lose(process)
            elif process.kept and not bearer.kept:
                process.kept = process in self.wanted

    def _lose(self, process: Process) -> None:
        process.lost = True
        if process.founded is not None:
            process.founded.outer = self.around(process)
        known = not self._door.fog and any(link.kept and not link.lost for link in process.above())
        process.kept = process.kept and (known or process in self.wanted)

    def around(self, root: Process) -> House | None:
        """The session that a new one is known to be inside of."""
        if not root.lost:
            return root.house
        if self._door.fog:
            return None
        inside = [link for link in root.above() if link.founded is not None or not (link.house is None or link.lost)]
        return (inside[0].founded or inside[0].house) if inside else None

    def over(self, root: Process) -> None:
        """A root has ended. What was over before anybody looked was no session: it is the outer one's work."""
        house = root.founded
        if house is None or house.outer is None or root in self._met:
            return
        if house.kind == "run" and not house.unheard:
            return
        for process in self._kernel.table.values():
            if process.house is house:
                process.house = house.outer
            if process.founded is not None and process.founded.outer is house:
                process.founded.outer = house.outer

    def save(self) -> None:
        """The agent leaves what it knows to the next one."""
        self._saved = frozenset(process for process in self._kernel.table.values() if process.seen and not process.lost)

    def fail(self, *, saved: bool) -> None:
        """The agent has ended: what it saw since it saved, and nobody can see any more, is lost."""
        known = self._saved if saved else frozenset()
        for process in self._kernel.table.values():
            process.seen = process in known
            if not process.seen and process.wish == "nohup" and process.hangup != "ignored":
                process.wish = ""  # node put its signals back
