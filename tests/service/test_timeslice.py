"""Shorter turns on the processor: asked of the real kernel, by a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ASK = """
import ctypes, json, os, platform, struct, sys
from sentinel.service import timeslice

def now():
    number = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    buffer = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(number, 0, buffer, 56, 0) == 0
    _, policy, flags, nice, _, turn, *_ = struct.unpack("=IIQiIQQQII", buffer.raw)
    return {"policy": policy, "nice": nice, "turn": turn}

os.nice(3)
before = now()
if sys.argv[1] == "batch":
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
took = timeslice.ask_for_short_turns()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, json.dumps(now()).encode())
    os._exit(0)
os.wait()
print(json.dumps({"before": before, "took": took, "now": now(), "child": json.loads(os.read(read, 1000))}))
"""


def ask(policy="other"):
    if sys.platform != "linux" or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12):
        pytest.skip("missing: Linux 6.12")
    done = subprocess.run([sys.executable, "-c", ASK, policy], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


def test_the_turns_are_short_and_the_share_is_the_same():
    told = ask()
    assert told["took"]
    assert told["before"]["turn"] > 100_000
    assert told["now"] == {**told["before"], "turn": 100_000}
    assert told["now"]["nice"] >= 3


def test_what_it_starts_gets_ordinary_turns():
    told = ask()
    assert told["child"] == told["before"]


def test_who_runs_under_another_policy_keeps_it():
    told = ask("batch")
    assert not told["took"]
    assert told["now"]["policy"] == os.SCHED_BATCH
