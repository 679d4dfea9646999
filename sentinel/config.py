"""The user's wishes: ``sentinel.toml``, read strictly.

A configuration decides what is ended. So nothing in it is guessed: an unknown key, a
value out of range or a file that somebody else may have written is refused with its line.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert

from sentinel.core.notices import Manner, quiet_hours
from sentinel.core.policy import CREW, Allowance, Daemons, KindPolicy, Mode, Policy, Project, Survivors
from sentinel.core.sessions import Kind
from sentinel.errors import ConfigError

LARGEST = 64 * 1024
"""Bytes. A configuration of every key there is takes 2 KiB."""


class Sources(Struct, frozen=True, forbid_unknown_fields=True):
    """Where news of processes comes from."""

    processes: Literal["auto", "polling"] = "auto"
    poll_interval: Annotated[float, Meta(ge=0.05, le=60)] = 0.25
    """Seconds between two samples, where sampling is used."""


class Notify(Struct, frozen=True, forbid_unknown_fields=True):
    """What the user is told on the desktop."""

    enabled: bool = True
    deadline: Annotated[float, Meta(ge=0.1, le=60)] = 5
    """Seconds that a notification service has to answer."""
    min_processes: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Clean-ups of fewer things than this, processes and files, are not worth a notification."""
    quiet: Annotated[str, Meta(pattern=r"^(?:(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d)?$")] = ""
    """Local hours in which nothing is shown, as ``22:00-07:00``."""
    silent: tuple[Kind, ...] = ()
    """Kinds of sessions whose clean-ups are not worth a notification."""
    ways: tuple[Literal["desktop", "tmux", "terminal"], ...] = ("desktop", "tmux", "terminal")
    """How to reach the user: the first that works."""
    buttons: bool = True
    """Popups have buttons, where the desktop has them."""

    @property
    def manner(self) -> Manner:
        """What is worth telling, and when."""
        quiet = quiet_hours(self.quiet) if self.quiet else None
        return Manner(self.min_processes, quiet, frozenset(self.silent), self.buttons)


class Registry(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the registry remembers, and how long a session may be silent."""

    keep_ended: Annotated[float, Meta(ge=0, le=24 * 366)] = 24
    """Hours for which an ended session stays in the list."""
    keep_logs: Annotated[float, Meta(ge=0, le=3660)] = 7
    """Days for which the log of a session that has ended stays."""
    stale_after: Annotated[float, Meta(ge=1, le=86400 * 7)] = 60
    """Seconds without a heartbeat after which a session that cannot be watched counts as stale."""


class Locks(Struct, frozen=True, forbid_unknown_fields=True):
    """Which locks are watched, beside those of projects."""

    watch: tuple[Annotated[str, Meta(pattern=r"^(?:/|~/)(?:[^*?\[]*/)?[^/]+$", max_length=4096)], ...] = ()
    """Paths; the last part may have wildcards in it."""


@dataclass(frozen=True, slots=True)
class Config:
    """All wishes. Without a file these are the defaults."""

    policy: Policy = field(default_factory=Policy)
    sources: Sources = field(default_factory=Sources)
    notify: Notify = field(default_factory=Notify)
    registry: Registry = field(default_factory=Registry)
    locks: Locks = field(default_factory=Locks)


class _Wishes(Struct, frozen=True, forbid_unknown_fields=True):
    """A ``[policy.KIND]`` section: what is not said there is said elsewhere."""

    survivors: Survivors | UnsetType = UNSET
    after_exit: Survivors | UnsetType = UNSET
    daemons: Daemons | UnsetType = UNSET
    grace: Annotated[float, Meta(ge=0, le=600)] | UnsetType = UNSET


class _Policies(Struct, frozen=True, forbid_unknown_fields=True):
    default: _Wishes = _Wishes()
    overmind: _Wishes = _Wishes()
    tmux: _Wishes = _Wishes()
    pane: _Wishes = _Wishes()
    agent: _Wishes = _Wishes()
    run: _Wishes = _Wishes()
    registered: _Wishes = _Wishes()


class _Project(_Wishes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ``[[project]]`` section: wishes for the sessions of one directory, whatever their kind."""

    path: Annotated[str, Meta(pattern=r"^(?:/|~/|~$)")]


_ALLOWED = Allowance()
_Pattern = Annotated[str, Meta(min_length=1)]


class _Protect(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is never touched, by name."""

    sessions: tuple[_Pattern, ...] = ()
    programs: tuple[_Pattern, ...] = ()


class _Budget(Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be ended within a while."""

    causes: Annotated[int, Meta(ge=1, le=1_000_000)] = _ALLOWED.causes
    share: Annotated[float, Meta(ge=0.01, le=1)] = _ALLOWED.share
    seconds: Annotated[float, Meta(ge=1, le=3600)] = _ALLOWED.seconds


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Mode = Mode.ACT
    policy: _Policies = _Policies()
    project: tuple[_Project, ...] = ()
    protect: _Protect = _Protect()
    budget: _Budget = _Budget()
    sources: Sources = Sources()
    notify: Notify = Notify()
    registry: Registry = Registry()
    locks: Locks = Locks()


def load(path: Path) -> Config:
    """Read the configuration. A file that is not there means the defaults.

    Raises:
        ConfigError: the file cannot be trusted, read or understood. The message starts
            with ``FILE:LINE:``, or ``FILE:`` where no line is to blame.
    """
    content = read(path)
    return Config() if content is None else _parse(path, content)


def read(path: Path) -> bytes | None:
    """A file by which it is decided what is ended, or run; None when it is not there.

    Raises:
        ConfigError: Others may have written it, or it cannot be read.
    """
    # O_NONBLOCK: opening a FIFO would wait for a writer for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if os.path.islink(path):  # the wishes exist, and we do not know them
            raise ConfigError(f"{path}: is a symbolic link to a file that is not there") from None
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if wrong := _what_is_wrong(os.fstat(descriptor)):
            raise ConfigError(f"{path}: {wrong}")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise ConfigError(f"{path}: is larger than {LARGEST // 1024} KiB, so it is not a configuration of Sentinel")
    return content


def _what_is_wrong(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is a directory, not a file" if stat.S_ISDIR(found.st_mode) else "is not a regular file"
    if found.st_uid not in {os.geteuid(), 0}:
        return f"belongs to another user (uid {found.st_uid}), and it decides what is ended"
    mode = stat.S_IMODE(found.st_mode)
    by_others = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private_group(found.st_gid))
    if by_others:
        return (
            f"can be written by other users (mode {mode:04o}), and it decides what is ended; mend it with: chmod go-w"
        )
    return ""


def _is_private_group(gid: int) -> bool:
    """Whether nobody but the user is in the group.

    Ubuntu gives each user a group of the same name and umask 002, so whatever an editor
    writes there is writable by a group of one.
    """
    import grp
    import pwd

    with suppress(KeyError):
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
        return user.pw_gid == gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
    return False


def _parse(path: Path, content: bytes) -> Config:
    import tomllib

    try:
        text = content.decode("utf-8-sig")
        data = tomllib.loads(text)
        file = convert(data, _File)
    except (ValidationError, ValueError, RecursionError) as error:
        from sentinel.config_errors import explain

        raise ConfigError(f"{path}:{explain(error, content, _File)}") from error
    return Config(_policy(file), file.sources, file.notify, file.registry, file.locks)


def _policy(file: _File) -> Policy:
    ours = Policy().kinds
    kinds = {kind: _merge(ours[kind], file.policy.default, getattr(file.policy, kind)) for kind in Kind}
    projects = tuple(
        Project(
            os.path.realpath(os.path.expanduser(project.path)),
            MappingProxyType({kind: _merge(wishes, project) for kind, wishes in kinds.items()}),
        )
        for project in file.project
    )
    budget = Allowance(file.budget.causes, file.budget.share, file.budget.seconds)
    return Policy(
        file.mode,
        MappingProxyType(kinds),
        projects,
        (CREW, *file.protect.sessions),
        file.protect.programs,
        budget,
    )


def _merge(ours: KindPolicy, *said: _Wishes) -> KindPolicy:
    """What the user says of this kind or project, else what he says of all kinds, else what core says of this one."""
    return replace(
        ours,
        **{
            name: value
            for wishes in said
            for name in _Wishes.__struct_fields__
            if (value := getattr(wishes, name)) is not UNSET
        },
    )
