"""What the command line and the agent say to each other: one JSON object a line each way.

A message is a question or a hint. No pid in a payload is acted on: the peer of the socket
is who the kernel says it is, and what it names is looked at before it is believed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sentinel.core.hooks import HookCall

LIMIT = 65536
"""Bytes of one message."""


class Status(msgspec.Struct, tag="status", tag_field="ask", forbid_unknown_fields=True):
    """How the agent is."""


class Sessions(msgspec.Struct, tag="sessions", tag_field="ask", forbid_unknown_fields=True):
    """What it watches."""


class Explain(msgspec.Struct, tag="explain", tag_field="ask", forbid_unknown_fields=True):
    """What it knows of a pid, path or session, and what it would do now."""

    what: str


class Register(msgspec.Struct, tag="register", tag_field="ask", forbid_unknown_fields=True):
    """The sender is the root of a session: it has left its mark, and waits to be watched."""


class Started(msgspec.Struct, tag="started", tag_field="ask", forbid_unknown_fields=True):
    """The sender's command runs as this pid."""

    pid: int


class Leaving(msgspec.Struct, tag="leaving", tag_field="ask", forbid_unknown_fields=True):
    """The sender is about to end, and these processes hang under it now."""

    pids: list[int]


class Enlisted(msgspec.Struct, tag="enlisted", tag_field="ask", forbid_unknown_fields=True):
    """Something about this session has changed in the registry: look there."""

    session: str


class Hook(msgspec.Struct, tag="hook", tag_field="ask", forbid_unknown_fields=True):
    """A coding agent's own hook fired."""

    call: HookCall


class Pause(msgspec.Struct, tag="pause", tag_field="ask", forbid_unknown_fields=True):
    """End nothing for now."""

    until: float | None = None
    """Wall-clock seconds since the epoch; None: until ``Resume``."""


class Resume(msgspec.Struct, tag="resume", tag_field="ask", forbid_unknown_fields=True):
    """Act again: ends a pause, closes the breaker."""


class Keep(msgspec.Struct, tag="keep", tag_field="ask", forbid_unknown_fields=True):
    """Leave a process or a session alone, with all that it bears, whatever it comes to."""

    what: str
    """A pid, or the name, id or key of a session."""
    off: bool = False
    """Take that back."""


Request = Status | Sessions | Explain | Register | Started | Leaving | Enlisted | Hook | Pause | Resume | Keep


class Reply(msgspec.Struct):
    """The answer: ``ok`` with data, or a sentence."""

    ok: bool
    data: Any = None
    error: str = ""
    busy: bool = False
    """Too many speak just now: it can be said again."""


encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_reply = msgspec.json.Decoder(Reply).decode
