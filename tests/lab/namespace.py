"""``@pytest.mark.namespace``: run tests in a pid namespace of their own.

Tests that end processes must not be able to end anything else, whatever they get wrong. The
marked tests of a file are run by a pytest of its own under ``unshare``, where nothing but
what they start has a number, and their results are reported here one by one.

They run aside, one file after the other, while the unmarked tests run here: most of both is
waiting. What measures has no company: ``@pytest.mark.alone`` comes first, before anything runs
aside, and in a full endurance run the marked tests wait for their turn.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

_INSIDE = "SENTINEL_TEST_NAMESPACE"
_FULL = os.environ.get("SENTINEL_SOAK") == "full"
_PATIENCE = 7200 if _FULL else 110
_RESULTS: dict[str, dict[str, ET.Element]] = {}
"""By file, then by test: what the inner pytest said."""
_WAITING: dict[str, list[pytest.Item]] = {}
"""By file: the marked tests that nobody has begun with."""
_ASIDE: list[Batch] = []
"""What runs aside now: one at most."""


def pytest_configure(config):
    config.addinivalue_line("markers", "namespace: ends processes, so it runs in a pid namespace of its own")
    config.addinivalue_line("markers", "alone: measures, so it runs first, while nothing else does")


def _elsewhere(item):
    return item.get_closest_marker("namespace") is not None and not os.environ.get(_INSIDE) and sys.platform == "linux"


def pytest_collection_modifyitems(items):
    """Have what measures come first."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)


def pytest_collection_finish(session):
    for item in filter(_elsewhere, session.items):
        _WAITING.setdefault(str(item.path), []).append(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Go on with what runs aside, have a marked test run there, and report here what came of it."""
    if not _FULL and item.get_closest_marker("alone") is None:
        _go_on()
    if not _elsewhere(item):
        return None
    path = str(item.path)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    while path not in _RESULTS:
        _go_on(patience=_PATIENCE)
    report = _report(item, _RESULTS[path])
    item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What the item before left standing for this one, as its neighbour, has to go now.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def pytest_sessionfinish():
    """End what still runs aside, when the tests were given up."""
    for batch in _ASIDE:
        batch.results()
    _ASIDE.clear()
    _WAITING.clear()


def _go_on(patience=0.0):
    """Take the results of the file that is through, after as many seconds as this, and begin with the next one."""
    if _ASIDE and _ASIDE[0].is_through(patience):
        batch = _ASIDE.pop()
        _RESULTS[batch.path] = batch.results()
    if not _ASIDE and _WAITING:
        path = next(iter(_WAITING))
        _ASIDE.append(Batch(path, _WAITING.pop(path)))


class Batch:
    """The marked tests of one file, as they run in a namespace."""

    def __init__(self, path, items):
        self.path = path
        self._folder = tempfile.TemporaryDirectory()
        self._file = os.path.join(self._folder.name, "results.xml")
        # A user namespace with our own uid: as its root we would seem to be what we are not.
        flags = "-pf" if os.getuid() == 0 else "-Ucpf"
        command = ["unshare", flags, "--kill-child", "--mount-proc", sys.executable, "-m", "pytest", "-q"]
        # Results and files lie where both of us find them, and go with the folder.
        command += [f"--basetemp={self._folder.name}/t", "-p", "no:cacheprovider", f"--junitxml={self._file}"]
        command += ["--timeout=0"] if _FULL else []
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        self._deadline = time.monotonic() + _PATIENCE
        with open(os.path.join(self._folder.name, "output"), "wb") as output:
            self._process = subprocess.Popen(
                [*command, *(item.nodeid for item in items)],
                cwd=items[0].config.rootpath,
                env={**environ, _INSIDE: "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_through(self, patience=0.0):
        """Wait this many seconds, and end what hangs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        if time.monotonic() > self._deadline:
            self._process.kill()
        return self._process.returncode is not None

    def results(self):
        """What the inner pytest said of each test, or under the name "" what it said instead. It is ended."""
        self._process.kill()
        self._process.wait()
        with self._folder as folder:
            if os.path.exists(self._file):
                return {case.get("name"): case for case in ET.parse(self._file).iter("testcase")}  # noqa: S314 - our own pytest's
            took = time.monotonic() - self._deadline + _PATIENCE
            output = Path(folder, "output").read_text(errors="replace")
            return {"": ET.Element("testcase", output=f"{output}\nno results after {took:.0f} s")}


def _report(item, results):
    case = results.get(item.name)
    outcome, details = "passed", None
    if case is None:
        outcome, details = "failed", results[""].get("output") if "" in results else "it was not run in the namespace"
    elif (wrong := next((part for part in case if part.tag in {"failure", "error"}), None)) is not None:
        outcome, details = "failed", wrong.text
    elif (skipped := case.find("skipped")) is not None:
        outcome, details = "skipped", (str(item.path), item.location[1], skipped.get("message"))
    duration = float(case.get("time", 0)) if case is not None else 0.0
    return pytest.TestReport(item.nodeid, item.location, {}, outcome, details, "call", duration=duration)
