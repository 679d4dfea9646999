"""How a handler comes back to a thing after a while: it is given the loop's timer, for it has no loop of its own."""

from __future__ import annotations

from collections.abc import Callable

Later = Callable[..., object]
"""Calls a function with its arguments after so many seconds, as ``loop.call_later`` does."""
