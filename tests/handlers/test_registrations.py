"""The door to the sessions of the registry."""

from __future__ import annotations

import subprocess
import sys

from sentinel.config import Registry as Wishes
from sentinel.handlers.registrations import Registrations


class Room:
    """Stands in for the room behind the door, and keeps what is asked of it."""

    def __init__(self):
        self.asked = []

    def find(self):
        self.asked.append("find")

    def tend(self, wishes):
        self.asked.append(wishes)

    def enlisted(self, session):
        self.asked.append(session)
        return {"session": session}


def test_where_nobody_has_registered_no_room_is_opened(tmp_path):
    door = Registrations(tmp_path / "registry.db", lambda: 1 / 0)
    door.find()
    door.tend(Wishes())


def test_it_is_opened_once_and_asked_everything(tmp_path):
    (tmp_path / "registry.db").touch()
    rooms = []
    door = Registrations(tmp_path / "registry.db", lambda: rooms.append(Room()) or rooms[-1])
    door.find()
    door.tend(Wishes())
    assert door.enlisted("api") == {"session": "api"}
    (room,) = rooms
    assert room.asked == ["find", Wishes(), "api"]


def test_who_registers_first_opens_it(tmp_path):
    door = Registrations(tmp_path / "registry.db", Room)
    assert door.enlisted("api") == {"session": "api"}


def test_in_safe_mode_it_stays_shut(tmp_path):
    (tmp_path / "registry.db").touch()
    door = Registrations(tmp_path / "registry.db", lambda: 1 / 0)
    door.stay_shut()
    door.find()
    door.tend(Wishes())
    assert door.enlisted("api") == {"session": ""}


def test_the_agent_imports_no_registry_before():
    script = "import sys, sentinel.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    modules = set(done.stdout.split())
    assert not [name for name in modules if name.startswith("sentinel.registry") or name == "sqlite3"]
