"""Checks of Sentinel as a service: whether it will be there tomorrow, and why it was not yesterday."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sentinel import clocks, crashes
from sentinel.core.sentences import count
from sentinel.doctor.check import CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.errors import SentinelError
from sentinel.service import manager
from sentinel.service.command import ours
from sentinel.service.installed import is_installed

_A_WHILE = 86400.0
"""Seconds for which a crash is worth telling."""
_WORDS = 12
"""Lines of a traceback: what it was, and where."""


def crashed(patient: Patient) -> Iterator[Trouble]:
    """Whether the agent crashed within a day, with the last words of the last time."""
    recent = [crash for crash in crashes.known(patient.where.crashes) if time.time() - crash.at < _A_WHILE]
    if not recent:
        return
    last = recent[-1]
    when = clocks.day_and_time(last.at)
    words = last.words or ("it had no time to say why: it was killed, or the machine was out of memory",)
    what = f"the agent crashed {count(len(recent), 'time')} within a day; the last one was noticed at {when}"
    yield Trouble(what, _most_telling(words), hint="upgrade Sentinel, or report this")


def _most_telling(words: tuple[str, ...]) -> tuple[str, ...]:
    """Python writes an error with the innermost call last, and of a signal with the innermost call first."""
    return words[:_WORDS] if words[0].startswith("Fatal Python error") else words[-_WORDS:]


def installed(patient: Patient) -> Iterator[Trouble]:
    """Whether the service that is installed is the one of this version, and serves."""
    keeper = _manager(patient)
    if keeper is None or not is_installed():
        return
    try:
        wanted = keeper.text(ours())
    except SentinelError as error:
        raise CouldNotCheck(str(error)) from error
    if keeper.file.read_bytes() != wanted:
        evidence = (f"{keeper.file} is not what this version would write", "it was changed, or is from another version")
        yield Trouble("the installed service is another one", evidence, hint="sentinel install")
    state = keeper.state()
    if state.failed:
        ended = (f"it ended with: {state.failed}",)
        yield Trouble("the service has failed", ended, hint="sentinel service logs, then sentinel service start")
    elif not state.enabled:
        yield Trouble("the service does not start at the log-in", (), hint="sentinel install")


def lingers(patient: Patient) -> Iterator[Trouble]:
    """Whether tmux servers would live on without the agent."""
    keeper = _manager(patient)
    if keeper is None or not is_installed() or keeper.state().lingers is not False:
        return
    if servers := patient.tmux_servers():
        evidence = (
            f"{count(len(servers), 'tmux server')} of yours would live on after your last log-out",
            "the service ends then: lingering is not enabled for you",
        )
        yield Trouble("nobody would watch what you leave running", evidence, hint="loginctl enable-linger")


def _manager(patient: Patient) -> manager.Manager | None:
    try:
        return manager.find(patient.where.state)
    except manager.NoManager:
        return None
    except SentinelError as error:
        raise CouldNotCheck(str(error)) from error
