"""What can be wrong with the registry. Each is a sentence, and an exit status of the command line."""

from __future__ import annotations

from sentinel.errors import SentinelError


class RegistryBusy(SentinelError):
    """Another process kept the registry locked for as long as anybody would wait."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class RegistryDamaged(SentinelError):
    """The file is no registry, or not any more. Nothing in it may be acted on."""

    exit_code = 65  # EX_DATAERR


class RegistryUnusable(SentinelError):
    """The file cannot be opened or written."""

    exit_code = 74  # EX_IOERR


class TooNew(SentinelError):
    """A later Sentinel has written the registry: this one would not understand all of it."""
