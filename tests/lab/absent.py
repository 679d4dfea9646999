"""Have a Python that is started find no such library, though it is installed."""

from __future__ import annotations

HIDE = """
import importlib.util, sys
sys.modules[{name!r}] = None
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == {name!r} else find(name, *more)
"""


def without(library, folder):
    """What to put into the environment of that Python. ``folder`` is made."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE.format(name=library))
    return {"PYTHONPATH": str(folder)}
