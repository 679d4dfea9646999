"""``@pytest.mark.namespace``: run tests in a pid namespace of their own.

Tests that end processes must not be able to end anything else, whatever they get wrong. The
marked tests of a file are run by a pytest of its own under ``unshare``, where nothing but
what they start has a number, and their results are reported here one by one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from xml.etree import ElementTree as ET

import pytest

_INSIDE = "SENTINEL_TEST_NAMESPACE"
_FULL = os.environ.get("SENTINEL_SOAK") == "full"
_PATIENCE = 7200 if _FULL else 110
_RESULTS: dict[str, dict[str, ET.Element]] = {}
"""By file, then by test: what the inner pytest said."""


def pytest_configure(config):
    config.addinivalue_line("markers", "namespace: ends processes, so it runs in a pid namespace of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Have a marked test run elsewhere, and report here what came of it."""
    if item.get_closest_marker("namespace") is None or os.environ.get(_INSIDE) or sys.platform != "linux":
        return None
    path = str(item.path)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if path not in _RESULTS:
        _RESULTS[path] = _run_inside(
            [o for o in item.session.items if str(o.path) == path and o.get_closest_marker("namespace")]
        )
    report = _report(item, _RESULTS[path])
    item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What the item before left standing for this one, as its neighbour, has to go now.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def _run_inside(items):
    # A user namespace with our own uid: as its root we would seem to be what we are not.
    flags = "-pf" if os.getuid() == 0 else "-Ucpf"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    with tempfile.TemporaryDirectory() as folder:
        results = os.path.join(folder, "results.xml")
        command = ["unshare", flags, "--kill-child", "--mount-proc", sys.executable, "-m", "pytest", "-q"]
        # Results and files lie where both of us find them, and go with the folder.
        command += [f"--basetemp={folder}/t", "-p", "no:cacheprovider", f"--junitxml={results}"]
        command += [*(["--timeout=0"] if _FULL else []), *(item.nodeid for item in items)]
        try:
            done = subprocess.run(
                command,
                cwd=items[0].config.rootpath,
                env={**environ, _INSIDE: "1"},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            output = done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            output = f"the tests in the namespace were not through after {_PATIENCE} s"
        if not os.path.exists(results):
            return {"": ET.Element("testcase", output=output)}
        return {case.get("name"): case for case in ET.parse(results).iter("testcase")}  # noqa: S314 - written by our own pytest


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
