"""What ``sentinel doctor`` asks about the projects that were started here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from sentinel.core.facts import ProcessFacts, Unknown
from sentinel.core.rules.projects import inside
from sentinel.doctor.check import Check, CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.environments import notes, wording
from sentinel.environments.project import Project, known
from sentinel.environments.scene import Holder
from sentinel.errors import ConfigError
from sentinel.observe import processes
from sentinel.observe.ports import Listener, listeners, ports_of


def _ports(patient: Patient) -> Iterator[Trouble]:
    """Who has a project's port and does not work in its directory: its next start would fail."""
    listening = listeners()
    if isinstance(listening, Unknown):
        raise CouldNotCheck(str(listening))
    everyone = patient.leftovers.look.everyone
    held = ports_of(everyone, listening)
    ports = held if isinstance(held, dict) else {}
    refused = ""
    for note in notes.every(patient.where):
        try:
            project = known(note.directory) if os.path.isdir(note.directory) else None
        except ConfigError as error:
            refused = str(error)
            continue
        if project is None:
            continue
        for port in project.ports:
            for holder in _strangers(project, port, everyone, ports, listening):
                what = f"port {port} of project {project.name} is held by {wording.holder(holder)}"
                yield Trouble(what, hint="end that one yourself, or give the project another port")
    if refused:
        raise CouldNotCheck(refused)


def _strangers(
    project: Project,
    port: int,
    everyone: Mapping[int, ProcessFacts],
    ports: Mapping[int, list[int]],
    listening: Mapping[int, Listener],
) -> Iterator[Holder]:
    pids = [pid for pid, has in ports.items() if port in has]
    for pid in pids:
        if _works_elsewhere(pid, project.directory):
            yield Holder(os.getuid(), pid, everyone[pid].name, processes.working_directory(pid))
    users = {one.uid for one in listening.values() if one.port == port}
    yield from map(Holder, sorted(users - ({os.getuid()} if pids else set())))


def _works_elsewhere(pid: int, directory: str) -> bool:
    """Whether it is known that neither a process nor any above it works in a directory: servers change theirs."""
    chain = processes.chain(pid)
    places = [processes.working_directory(link.id.pid) for link in chain] if isinstance(chain, tuple) else []
    return bool(places) and bool(places[0]) and not any(inside(place, directory) for place in places)


PORTS = Check("project-ports", "Projects", "no stranger has a port of a project that you have started here", _ports)
