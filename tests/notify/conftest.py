from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sentinel.notify import session_bus
from tests.lab.absent import without

TOLD = f"""#!{sys.executable} -I
import os, sys, time
with open({{calls!r}}, "a") as calls:
    calls.write(repr([os.getpid(), *sys.argv[1:]]) + "\\n")
{{then}}
"""


@dataclass
class Machine:
    """A folder with a `notify-send` of ours and a socket where the bus would be; jeepney is hidden.

    The stand-in can be broken in every way, which no real desktop offers; the real ones
    are in tests/real/test_notifications.py.
    """

    root: Path
    calls: Path = field(init=False)
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.calls = self.root / "calls"
        (self.root / "bin").mkdir()
        self.environ = {"PATH": str(self.root / "bin"), "XDG_RUNTIME_DIR": str(self.root), "HOME": str(self.root)}

    def notify_send(self, then: str = "") -> None:
        """Install the stand-in; `then` is Python that follows once the call is written down."""
        program = self.root / "bin" / "notify-send"
        program.write_text(TOLD.format(calls=str(self.calls), then=then))
        program.chmod(0o755)

    @property
    def told(self) -> list[tuple[str, str]]:
        """Title and body of each call."""
        return [(line[-2], line[-1]) for line in self._lines()]

    @property
    def options(self) -> list[list[str]]:
        """The options of each call."""
        return [line[1:-2] for line in self._lines()]

    @property
    def pids(self) -> list[int]:
        return [line[0] for line in self._lines()]

    def _lines(self) -> list[list]:
        return [eval(line) for line in self.calls.read_text().splitlines()] if self.calls.exists() else []  # noqa: S307  our own stand-in wrote it


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(session_bus, "USER_RUNTIME", str(tmp_path / "nowhere"))
    with socket.socket(socket.AF_UNIX) as bus:
        monkeypatch.chdir(tmp_path)  # the path of a socket may have 108 bytes, and pytest's folders are deep
        bus.bind("bus")
        made = Machine(tmp_path)
        made.environ |= without("jeepney", tmp_path / "hidden")
        made.notify_send()
        yield made
