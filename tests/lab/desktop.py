"""Desktops to be told things at, and a bus at which there is nobody to tell them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tests.lab.stage import until

LAB = Path(__file__).with_name("notify_lab.sh")

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"missing: {program}")


@dataclass
class Desktop:
    """One with dunst."""

    environ: dict[str, str]

    def press(self, label: str) -> str:
        """Press a button, by the menu that dunst lists the buttons of all its popups in. Returns that list."""
        lab = Path(self.environ["LAB"])
        choose(lab, label)
        self._dunstctl("context")
        return offered(lab)

    def popups(self) -> list[tuple[str, str, str]]:
        """Application, title and body of what dunst has shown, the newest first."""
        return [(p["appname"]["data"], p["summary"]["data"], p["body"]["data"]) for p in self.history()]

    def history(self) -> list[dict[str, dict[str, str]]]:
        """All that dunst knows of what it has shown."""
        self._dunstctl("close-all")  # the history has only what is no longer on the screen
        history: list[dict[str, dict[str, str]]] = json.loads(self._dunstctl("history"))["data"][0]
        return history

    def _dunstctl(self, command: str) -> str:
        return subprocess.run(
            ["dunstctl", command], env=self.environ, capture_output=True, text=True, check=True, timeout=30
        ).stdout


def choose(lab: Path, label: str) -> None:
    """Have dunst's menu choose the button of that name the next time."""
    (lab / "offered").unlink(missing_ok=True)
    (lab / "choice").write_text(f"#{label} (")


def offered(lab: Path) -> str:
    """What it listed, once it has."""
    until((lab / "offered").exists, "dunst's menu")
    return (lab / "offered").read_text()


def environment(said: IO[bytes], told: Path) -> dict[str, str]:
    """That of whoever sits at a desktop, once it is up: what is started on the way says this and that."""
    while (line := said.readline()) != b"up\n":
        assert line
    return dict(pair.partition("=")[::2] for pair in told.read_text().split("\0") if pair)


@contextmanager
def raised(place: Path, service: str = "") -> Iterator[dict[str, str]]:
    """A desktop, and the environment of whoever sits at it."""
    told = place / "environ"
    # The lab lives for as long as its stdin is open: it ends with this test run, however that ends.
    command = [LAB, "sh", "-c", 'env -0 >"$0"; echo up; read -r _', told]
    with (
        open(told.parent / "noise", "wb") as noise,
        subprocess.Popen(
            command,
            env={**os.environ, "SERVICE": service},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
        ) as lab,
    ):
        assert lab.stdin is not None
        assert lab.stdout is not None
        yield environment(lab.stdout, told)
        lab.stdin.close()
        lab.stdout.read()


@contextmanager
def bare_bus(place: Path) -> Iterator[dict[str, str]]:
    """A bus on which nobody shows notifications and from which nobody can be started."""
    (place / "bus.conf").write_text(BUS_CONFIG.format(path=place / "bus"))
    command = ["dbus-daemon", f"--config-file={place}/bus.conf", "--nofork", "--print-address=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        yield {"PATH": os.environ["PATH"], "HOME": str(place), "XDG_RUNTIME_DIR": str(place)}
        daemon.terminate()
