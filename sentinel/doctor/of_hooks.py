"""Checks of what ``sentinel hooks install`` has written: whether it is whole, and whether it will be run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sentinel.doctor.check import CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.errors import SentinelError
from sentinel.integrations.known import INTEGRATIONS, integration
from sentinel.integrations.plan import Host
from sentinel.service.command import ours

_ALONE = "nothing rests on hooks, but what only they tell is not heard"


def of_agents(patient: Patient) -> Iterator[Trouble]:
    """Whether the hooks in coding agents that have any are whole, start this Sentinel, and are run."""
    silent = []
    for name in INTEGRATIONS:
        if name == "tmux":
            continue
        try:
            yield from _of(name, patient)
        except SentinelError as error:
            silent.append(f"{name}: {error}")
    if silent:
        raise CouldNotCheck("; ".join(silent))


def of_tmux(patient: Patient) -> Iterator[Trouble]:
    """Whether every server has the hooks, where somebody wants them."""
    try:
        yield from _of("tmux", patient)
    except SentinelError as error:
        raise CouldNotCheck(str(error)) from error


def _of(name: str, patient: Patient) -> Iterator[Trouble]:
    host = Host(Path(os.path.expanduser("~")), patient.where.state, os.environ)
    its = integration(name)
    standing = its.status(host)
    again = f"sentinel hooks install {name}"
    if not standing.installed:
        if standing.why and its.uninstall(host) is not None:
            yield Trouble(f"some hooks of {name} are missing in {standing.where}", (standing.why, _ALONE), hint=again)
        return
    if standing.trusted is False:
        hint = "" if its.starts_us else again  # elsewhere the reason says what to do
        yield Trouble(f"the hooks of {name} in {standing.where} do not all work", (standing.why, _ALONE), hint=hint)
    if its.starts_us and its.install(host, ours(host.environ)) is not None:
        evidence = ("they start another one, or one that is not there any more", _ALONE)
        yield Trouble(f"the hooks of {name} in {standing.where} do not start this Sentinel", evidence, hint=again)
