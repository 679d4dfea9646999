"""Where the desktop listens: the D-Bus session bus of this user.

An agent that a service manager or an ssh login started has no `DBUS_SESSION_BUS_ADDRESS`,
though the bus may be there. And where none is, libdbus and GLib would start one of their
own ("autolaunch"), with a second notification daemon that nobody sees. So the address is
found here and always handed on explicitly: then neither of them launches anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

USER_RUNTIME = "/run/user"
_STARTS_PROCESSES = frozenset({"autolaunch", "launchd", "unixexec"})
# What a D-Bus address may hold without being escaped, says the specification.
_PLAIN = "/_-.\\*"


def find(environ: Mapping[str, str]) -> str:
    """The address of the bus, or "" when there is none. Starts nothing, connects to nothing."""
    if told := _usable(environ.get("DBUS_SESSION_BUS_ADDRESS", "")):
        return told
    for directory in (environ.get("XDG_RUNTIME_DIR", ""), f"{USER_RUNTIME}/{os.getuid()}"):
        path = f"{directory}/bus"
        if directory and _is_socket(os.fsencode(path)):
            return f"unix:path={quote(os.fsencode(path), safe=_PLAIN)}"
    return ""


def _usable(address: str) -> str:
    """What is left of an address list without what is not there or would start a process."""
    return ";".join(entry for entry in address.split(";") if _worth_trying(entry))


def _worth_trying(entry: str) -> bool:
    transport, _, rest = entry.partition(":")
    if not rest or transport in _STARTS_PROCESSES:
        return False
    if transport != "unix":
        return True
    keys = dict(pair.partition("=")[::2] for pair in rest.split(","))
    if "path" in keys:  # an address from a log-in that ended names a file that is gone
        return _is_socket(unquote_to_bytes(keys["path"]))
    return "abstract" in keys


def _is_socket(path: bytes) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False
