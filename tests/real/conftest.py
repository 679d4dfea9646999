"""The stage, under each of the two sources of births and deaths.

``connector``: in the initial pid namespace, as a user that owns nothing else. ``polling``: the
same scenario in a pid namespace of its own, where the connector's numbers mean nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.lab.stage import Stage

POLLING = '[sources]\nprocesses = "polling"\npoll_interval = 0.05\n'


@pytest.fixture(params=["connector", pytest.param("polling", marks=pytest.mark.namespace)])
def source(request):
    initial = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
    if request.param == "connector" and not initial:
        pytest.skip("missing: the initial pid namespace")
    return request.param


@pytest.fixture
def stage(source):
    root = Path(tempfile.mkdtemp(prefix="sentinel-stage-", dir="/tmp"))
    stage = Stage(root, POLLING if source == "polling" else "")
    yield stage
    stage.close()
    shutil.rmtree(root, ignore_errors=True)
