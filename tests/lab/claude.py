"""A coding agent that does as it is told: a program called claude that runs its hooks as the real one does."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

from tests.lab.stage import interpreter, until

SCRIPT = """
import json, os, subprocess, sys

def hook(event, **payload):
    "Run the hook and wait for it, as Claude Code does: a line for sh, the payload on its standard input."
    line = os.environ["HOOK"] + " " + event
    payload = {"hook_event_name": event, "cwd": os.getcwd(), **payload}
    done = subprocess.run(["/bin/sh", "-c", line], input=json.dumps(payload).encode(), capture_output=True)
    return [done.returncode, done.stdout.decode(), done.stderr.decode()]

def bear(script):
    "A child in the background, as a tool's shell leaves one."
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return subprocess.Popen(["bash", "-c", script], **quiet).pid

for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
SILENT = [0, "", ""]
"""How a hook must end."""


class Claude:
    """One that runs on a stage. It ends when its input does, as after ``/exit``."""

    def __init__(self, stage, name="claude", **environ):
        program = stage.home / "bin" / name
        if not program.exists():
            stage.file(f"bin/{name}")
            shutil.copy2("/usr/bin/python3", program)
            program.chmod(0o755)
            stage.file("claude.py", SCRIPT)
        hook = " ".join(interpreter())
        words = [f"{key}={value}" for key, value in {"HOOK": f"{hook} hook {name}", **environ}.items()]
        self._stage = stage
        self.process = stage.start(
            "env", *words, program, stage.home / "claude.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        assert self.do("os.getpid()") == self.pid

    @staticmethod
    def words(event, name="claude"):
        """The command line of its hook."""
        return [*interpreter(), "hook", name, event]

    def do(self, expression):
        """Have it evaluate something."""
        self.process.stdin.write(f"{expression}\n".encode())
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def hook(self, event, **payload):
        """Fire a hook; it says nothing, and all is well. The agent has heard of it, if one runs."""
        assert self.do(f"hook({event!r}, **{payload!r})") == SILENT
        self.is_heard()

    def is_heard(self):
        """Wait until the agent has heard of all hooks: what it does not answer within 15 ms goes to the spool."""
        runtime, sockets = self._stage.home / "runtime", Path("/proc/net/unix")

        def nothing_waits():
            runs = f" {runtime}/inbox.sock\n" in sockets.read_text()
            return not runs or not list((runtime / "spool").glob("*.json"))

        until(nothing_waits, "the agent reading what was left for it")

    def bear(self, script="sleep 600"):
        """A child that the agent knows of."""
        pid = self.do(f"bear({script!r})")
        until(lambda: self._owned(pid), f"{pid} being known as its own")
        return pid

    def _owned(self, pid):
        shown = self._stage.sentinel("explain", str(pid), "--json").stdout
        return "owned by" in " ".join(json.loads(shown or "{}").get("evidence", []))

    def session(self):
        """What the agent knows of it."""
        shown = json.loads(self._stage.sentinel("sessions", "--json").stdout)
        return next((one for one in shown if one["pid"] == self.pid), None)

    def exit(self):
        """Its person leaves."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(20)


def fired(stage):
    """The hooks that were heard, in order."""
    return [record["data"] for record in stage.journal("hook.fired")]
