"""Puts a mutant in the place of a module that is imported already.

Whoever has imported a function by its name holds the same object: so its code is changed,
and everybody has the mutant. There is no way back: it is done in a process of its own.
"""

from __future__ import annotations

import sys
from functools import _lru_cache_wrapper
from types import FunctionType, ModuleType

from tests.mutation.mutants import Mutant


def put_in_place(module: ModuleType, mutant: Mutant) -> None:
    """Make a module do what the mutant does."""
    wrong = ModuleType(f"{module.__name__}__mutant")
    wrong.__file__, wrong.__package__ = module.__file__, module.__package__
    sys.modules[wrong.__name__] = wrong  # dataclasses look their own module up
    exec(compile(mutant.tree, str(module.__file__), "exec"), wrong.__dict__)  # noqa: S102 - our own source, changed
    if mutant.constant:
        setattr(module, mutant.where, getattr(wrong, mutant.where))
        return
    here, there = _function(module, mutant.where), _function(wrong, mutant.where)
    _forget_answers()
    here.__code__, here.__defaults__, here.__kwdefaults__ = there.__code__, there.__defaults__, there.__kwdefaults__


def _forget_answers() -> None:
    """Clear the caches of functions: they hold what was true before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("sentinel."):
            for found in list(vars(module).values()):
                if isinstance(found, _lru_cache_wrapper):
                    found.cache_clear()


def _function(module: ModuleType, where: str) -> FunctionType:
    """The function of that qualified name, out of whatever it is wrapped in."""
    found: object = module
    for name in where.split("."):
        found = vars(found)[name]
    if isinstance(found, property):
        found = found.fget
    found = getattr(found, "__wrapped__", getattr(found, "__func__", found))
    assert isinstance(found, FunctionType), where
    return found
