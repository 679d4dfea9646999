"""Sentinel: ends what dead sessions leave behind, and nothing else."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it: `typing` takes a hook longer than all that it does
if TYPE_CHECKING:
    from sentinel.registry.registry import Registry as Registry

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import what programs want of Sentinel when they ask for it: its own commands need it seldom."""
    if name == "Registry":
        from sentinel.registry.registry import Registry

        return Registry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
