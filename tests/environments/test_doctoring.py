"""What the doctor says of projects' ports, with real listeners."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sentinel.core.facts import Unknown
from sentinel.core.ledger import Ledger
from sentinel.doctor.check import CouldNotCheck
from sentinel.doctor.sightings import Look
from sentinel.environments import doctoring, notes
from sentinel.environments.notes import Note
from sentinel.environments.project import known

PORTS = doctoring.PORTS.run


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def patient(where):
    """As the doctor has it after its look, as far as ports go."""
    return SimpleNamespace(where=where, leftovers=SimpleNamespace(look=Look(os.getuid(), Ledger())))


@pytest.fixture
def shop(where, tmp_path, port):
    """A project that was started here before, with the port that this very process has."""
    home = tmp_path / "shop"
    home.mkdir()
    (home / "sentinel.toml").write_text(f"[project]\nports = [{port}]\n")
    project = known(str(home))
    notes.write(where, project, Note(project.directory, project.name))
    return home


def test_a_stranger_on_a_projects_port_is_named(patient, shop, port):
    (trouble,) = PORTS(patient)
    assert trouble.what.startswith(f"port {port} of project shop is held by pid {os.getpid()} (")
    assert os.getcwd() in trouble.what
    assert trouble.remedy is None


def test_whoever_works_in_the_project_may_have_its_port(patient, shop, monkeypatch):
    monkeypatch.chdir(shop)
    assert list(PORTS(patient)) == []


@pytest.mark.usefixtures("shop")
def test_of_whom_nobody_can_tell_where_it_works_nothing_is_said(patient, monkeypatch):
    monkeypatch.setattr(doctoring.processes, "working_directory", lambda _: "")
    assert list(PORTS(patient)) == []


def test_a_server_that_left_the_directory_is_the_projects_by_what_is_above_it(patient, shop, port, monkeypatch):
    monkeypatch.chdir(shop)
    serve = "import socket, sys; held = socket.socket(fileno=int(sys.argv[1])); input()"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        (shop / "sentinel.toml").write_text(f"[project]\nports = [{listener.getsockname()[1]}]\n")
        command = [sys.executable, "-c", serve, str(listener.fileno())]
        with subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, pass_fds=[listener.fileno()]) as server:
            listener.close()
            patient.leftovers.look = Look(os.getuid(), Ledger())
            assert server.pid in patient.leftovers.look.everyone
            assert list(PORTS(patient)) == []
            monkeypatch.chdir("/")
            (trouble,) = PORTS(patient)
            assert f"held by pid {server.pid} (" in trouble.what
            server.communicate(b"\n")


@pytest.mark.usefixtures("shop")
def test_the_process_of_another_user_is_told_by_its_user(patient, port, monkeypatch):
    listening = {n: replace_uid(one) for n, one in doctoring.listeners().items()}
    monkeypatch.setattr(doctoring, "listeners", lambda: listening)
    monkeypatch.setattr(doctoring, "ports_of", lambda *_: {})
    (trouble,) = PORTS(patient)
    assert trouble.what.endswith("a process of user 54321, which only that user can see")


@pytest.mark.usefixtures("shop")
def test_a_process_of_our_own_user_that_cannot_be_seen_is_not_said_to_be_seen_by_that_user(patient, monkeypatch):
    """As one in a container that shares the network is, or one that was born since the look."""
    monkeypatch.setattr(doctoring, "ports_of", lambda *_: {})
    (trouble,) = PORTS(patient)
    assert trouble.what.endswith(", which cannot be seen from here")


def replace_uid(listener):
    return listener._replace(uid=54321)


def test_a_project_that_is_gone_or_was_never_started_says_nothing(patient, shop, where):
    shop.rename(shop.with_name("elsewhere"))
    assert list(PORTS(patient)) == []


@pytest.mark.usefixtures("shop")
def test_what_cannot_be_seen_or_read_is_not_checked(patient, shop, monkeypatch):
    with monkeypatch.context() as blind:
        blind.setattr(doctoring, "listeners", lambda: Unknown("which ports are listened on", "EIO"))
        with pytest.raises(CouldNotCheck, match="EIO"):
            list(PORTS(patient))
    (shop / "sentinel.toml").write_text("[project]\nport = 1\n")
    with pytest.raises(CouldNotCheck, match=r'sentinel\.toml:2: unknown key "port"'):
        list(PORTS(patient))
