"""Which tmux sessions a program made and has no use for any more, by the names that it gives.

A name proves nothing: whatever is found by one is shown to a person, and ended by nobody here
(docs/by-hand.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection

_GAS_TOWN = re.compile(r"gt-(?P<rig>[^-]+)-(?P<role>.+)")
_OF_THE_TOWN = frozenset({"gt-mayor", "gt-deacon"})


def is_gas_towns(name: str) -> bool:
    """Whether Gas Town gives such names to its sessions."""
    return name.startswith("gt-")


def lost_its_rig(name: str, rigs: Collection[str]) -> str:
    """Why a session of Gas Town belongs to nothing; empty when it may belong to something.

    ``gt-mayor`` and ``gt-deacon`` are the town's own, ``gt-RIG-ROLE`` is a rig's. Which roles
    a rig has cannot be told from outside, so any will do.

    Args:
        name: Of the session.
        rigs: Names of the rigs that the town has.
    """
    if name in _OF_THE_TOWN:
        return ""
    found = _GAS_TOWN.fullmatch(name)
    if found is None:
        return "Gas Town gives no such name"
    return "" if found["rig"] in rigs else f"its town has no rig called {found['rig']}"
