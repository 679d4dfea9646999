"""Locks in files that name their holder, and fall with it.

from sentinel.locks import Lock

with Lock("/home/me/shop/.deploy.lock", timeout=5):
    deploy()
"""

from __future__ import annotations

from sentinel.locks.holder import Holder
from sentinel.locks.lock import CannotLock, Lock, LockHeld

__all__ = ["CannotLock", "Holder", "Lock", "LockHeld"]
