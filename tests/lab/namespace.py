"""``@pytest.mark.namespace``: run tests in a pid namespace of their own.

Tests that end processes must not be able to end anything else, whatever they get wrong. The
marked tests of a file are run by a pytest of its own under ``unshare``, where nothing but
what they start has a number, and their results are reported here one by one.

They run aside, one file after the other, while the unmarked tests run here: most of both is
waiting. Files whose every test is marked ``@pytest.mark.aside`` last long and run so as well, in
no namespace, unless their turn here comes first. What measures has no company:
``@pytest.mark.alone`` comes before anything runs aside, and in a full endurance run the marked
tests wait for their turn.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

_INSIDE = "SENTINEL_TEST_NAMESPACE"
_BESIDE = "SENTINEL_TEST_ASIDE"
_FULL = os.environ.get("SENTINEL_SOAK") == "full"
_PATIENCE = 7200 if _FULL else 300
"""Seconds that a file may take: a bound against hanging. Each of its tests has the bound of every test."""
_FAREWELL = 20
"""Seconds in which a pytest that was interrupted takes its stage down."""
_RESULTS: dict[str, dict[str, ET.Element]] = {}
"""By file, then by test: what the inner pytest said."""
_WAITING: dict[str, list[pytest.Item]] = {}
"""By file: the marked tests that nobody has begun with."""
_ASIDE: list[Batch] = []
"""What runs aside now: one at most."""


def pytest_configure(config):
    config.addinivalue_line("markers", "namespace: ends processes, so it runs in a pid namespace of its own")
    config.addinivalue_line("markers", "aside: lasts long, so it runs while others do; on every test of its file")
    config.addinivalue_line("markers", "alone: measures, so it runs first, while nothing else does")


def _elsewhere(item):
    if os.environ.get(_INSIDE) or os.environ.get(_BESIDE) or sys.platform != "linux":
        return False
    return any(item.get_closest_marker(name) for name in ("namespace", "aside"))


def pytest_collection_modifyitems(items):
    """Have what measures come first."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)


def pytest_collection_finish(session):
    for item in filter(_elsewhere, session.items):
        item.add_marker(pytest.mark.timeout(0))  # here it only waits: for its file, and for the one that runs before
        _WAITING.setdefault(str(item.path), []).append(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Go on with what runs aside, have a marked test run there, and report here what came of it."""
    path = str(item.path)
    if item.get_closest_marker("aside"):
        _WAITING.pop(path, None)  # nobody has begun with it, and here it can be followed
    if not _FULL and item.get_closest_marker("alone") is None:
        _go_on()
    if not _elsewhere(item) or path not in {*_RESULTS, *_WAITING, *(batch.path for batch in _ASIDE)}:
        return None
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
    """The marked tests of one file, as they run in a pytest of its own."""

    def __init__(self, path, items):
        self.path = path
        self._folder = tempfile.TemporaryDirectory()
        self._file = os.path.join(self._folder.name, "results.xml")
        # A user namespace with our own uid: as its root we would seem to be what we are not.
        flags = "-pf" if os.getuid() == 0 else "-Ucpf"
        self._isolated = any(item.get_closest_marker("namespace") for item in items)
        command = ["unshare", flags, "--kill-child", "--mount-proc"] if self._isolated else []
        command += [sys.executable, "-m", "pytest", "-q"]
        # Results and files lie where both of us find them, and go with the folder.
        command += [f"--basetemp={self._folder.name}/t", "-p", "no:cacheprovider", f"--junitxml={self._file}"]
        command += ["--timeout=0"] if _FULL else []
        environ = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        self._patience = _PATIENCE if self._isolated else 3 * _PATIENCE
        self._deadline = time.monotonic() + self._patience
        with open(os.path.join(self._folder.name, "output"), "wb") as output:
            self._process = subprocess.Popen(
                [*command, *(item.nodeid for item in items)],
                cwd=items[0].config.rootpath,
                env={**environ, _INSIDE if self._isolated else _BESIDE: "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_through(self, patience=0.0):
        """Wait this many seconds for its end; what hangs is through as well."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        return self._process.returncode is not None or time.monotonic() > self._deadline

    def results(self):
        """What the inner pytest said of each test, or under the name "" what it said instead. It is ended."""
        if not self._isolated:  # no namespace takes with it what its tests have started
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_FAREWELL)
        self._process.kill()
        self._process.wait()
        with self._folder as folder:
            if os.path.exists(self._file):
                return {case.get("name"): case for case in ET.parse(self._file).iter("testcase")}  # noqa: S314 - our own pytest's
            took = time.monotonic() - self._deadline + self._patience
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
