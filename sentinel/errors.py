"""The errors that rooms have in common; one that a single room raises is defined in it.

SentinelError                    something a person must be told in one sentence
├── ConfigError                  a configuration that cannot be used        exit 78
├── AlreadyRunning               another agent holds the lock               exit 0
├── NotRunning                   no agent answers                           exit 3
├── NoSuchThing                  an unknown session, event, pid or path     exit 1
├── SourceUnavailable            a kernel facility that is not there: the next source is tried
└── JournalUnwritable            an intent could not be recorded: nothing may be ended
"""

from __future__ import annotations


class SentinelError(Exception):
    """Something a person must be told in one sentence.

    The message is that sentence. ``exit_code`` is what the command line ends with.
    """

    exit_code = 1


class ConfigError(SentinelError):
    """A configuration that cannot be used; the message starts with ``file:line:``."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class AlreadyRunning(SentinelError):
    """Another agent of this user holds the lock. Not a failure: the work is being done."""

    exit_code = 0


class NotRunning(SentinelError):
    """No agent answers on the inbox."""

    exit_code = 3  # LSB: program is not running


class NoSuchThing(SentinelError):
    """A session, event, pid or path that nothing is known of."""


class SourceUnavailable(SentinelError):
    """A kernel facility that is not there, or not for us. The caller tries the next source."""


class JournalUnwritable(SentinelError):
    """An intent could not be recorded, so what it announces must not be done."""
