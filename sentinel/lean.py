"""Has the agent weigh less."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast


@contextmanager
def without(module: str) -> Iterator[None]:
    """Have ``import`` say within this block that a module is not there, unless it has been imported.

    For what another one would import in vain: ``asyncio`` does without ``ssl`` where Python was
    built without it, and ``ssl`` takes 4 MiB. Afterwards the module can be imported as ever.
    """
    if module in sys.modules:
        yield
        return
    cast("dict[str, object]", sys.modules)[module] = None
    try:
        yield
    finally:
        del sys.modules[module]
