from __future__ import annotations

import os
import socket

import pytest

from sentinel.notify import session_bus


@pytest.fixture
def at(tmp_path, monkeypatch):
    """Make a socket at a path under tmp_path; nothing else of this machine is found."""
    monkeypatch.setattr(session_bus, "USER_RUNTIME", str(tmp_path / "run"))
    open_sockets = []

    def make(path: str) -> str:
        full = tmp_path / path
        full.parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(full.parent)
        sock = socket.socket(socket.AF_UNIX)
        open_sockets.append(sock)
        sock.bind(full.name)
        return str(full)

    yield make
    for sock in open_sockets:
        sock.close()


def test_nothing_is_found_where_nothing_is(at, tmp_path):
    assert session_bus.find({}) == ""
    (tmp_path / "bus").write_text("a file, no socket")
    assert session_bus.find({"XDG_RUNTIME_DIR": str(tmp_path)}) == ""


def test_the_environment_comes_first(at):
    told, runtime = at("told/bus"), at("runtime/bus")
    environ = {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={told},guid=0",
        "XDG_RUNTIME_DIR": os.path.dirname(runtime),
    }
    assert session_bus.find(environ) == f"unix:path={told},guid=0"


def test_a_service_without_an_environment_finds_the_users_bus(at):
    bus = at(f"run/{os.getuid()}/bus")
    assert session_bus.find({}) == f"unix:path={bus}"


@pytest.mark.parametrize(
    "useless",
    [
        "",
        "autolaunch:",
        "disabled:",
        "unix:path=/nonexistent/bus,guid=0",
        "unixexec:path=ssh,argv1=elsewhere",
        "unix:runtime=yes",
        "rubbish",
        "unix:path=%00",
    ],
)
def test_an_address_that_is_gone_or_would_start_something_is_passed_over(at, useless):
    bus = at("runtime/bus")
    environ = {"DBUS_SESSION_BUS_ADDRESS": useless, "XDG_RUNTIME_DIR": os.path.dirname(bus)}
    assert session_bus.find(environ) == f"unix:path={bus}"
    assert session_bus.find({"DBUS_SESSION_BUS_ADDRESS": useless}) == ""


def test_of_a_list_the_usable_entries_stay(at):
    environ = {"DBUS_SESSION_BUS_ADDRESS": "autolaunch:;unix:abstract=/tmp/dbus-x,guid=1;tcp:host=localhost,port=1"}
    assert session_bus.find(environ) == "unix:abstract=/tmp/dbus-x,guid=1;tcp:host=localhost,port=1"


def test_odd_characters_in_a_path_are_escaped_and_read_back(at):
    bus = at("a b,c;é/bus")
    found = session_bus.find({"XDG_RUNTIME_DIR": os.path.dirname(bus)})
    assert found.endswith("/a%20b%2Cc%3B%C3%A9/bus")
    assert session_bus.find({"DBUS_SESSION_BUS_ADDRESS": found}) == found
