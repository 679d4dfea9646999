"""``sentinel hook AGENT EVENT``: what a coding agent runs at its own events.

The coding agent waits for it, so nothing is imported that is not needed (asyncio, click and
msgspec alone would cost more than all that is done here). It is never in the way: it prints
nothing, ends with status 0 whatever happens, and within half a second whatever it waits for.

What it says is a hint. Who said it, Sentinel's agent finds out from the kernel, or, when it
comes to know of it only later, from the chain of parents that is written down here while
they live.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Mapping, Sequence

from sentinel import runtime_dir

LARGEST = 64 * 1024
"""Bytes of a payload."""
_PATIENCE = 0.4
"""Seconds for the payload to come."""
_ANSWER = 0.015
"""Seconds for the agent to answer; then it is left for it in the spool."""
ROOM = 256
"""Calls that are kept for an agent that does not run: beyond that the oldest go."""
_GENERATIONS = 16
_WORD = 40
_NAME = 200
"""Characters of what is passed on."""
_TASKS = 32
_TASK = 120
MARKS = ("CLAUDE_PID", "CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID")
_HEARD = b'{"ok":true'
_BEGINNING = 64

Data = dict[str, object]


def tell(words: Sequence[str]) -> None:
    """Tell the agent that the hook fired, or leave it in the spool. Raises nothing, prints nothing.

    Args:
        words: The coding agent's name, and the event as it calls it.
    """
    try:
        call = _call(words, _payload())
        runtime = runtime_dir.find()
        line = json.dumps({"ask": "hook", "call": call}, separators=(",", ":")).encode("ascii") + b"\n"
        if not _heard(os.path.join(runtime, runtime_dir.INBOX), line):
            _leave(os.path.join(runtime, runtime_dir.SPOOL), f"{call['id']}.json", line)
    except BaseException:  # noqa: BLE001, S110 - whatever it is, the coding agent must not be bothered with it
        pass


# -- what it was given ----------------------------------------------------------------


def _payload() -> Data:
    """What the coding agent wrote to standard input; ``trouble`` alone when that cannot be read."""
    if os.isatty(0):
        return {"trouble": "there was no payload"}
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        text = _all_of_it()
    except TimeoutError:
        return {"trouble": "its payload did not come to an end"}
    except OSError:
        return {"trouble": "its payload could not be read"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if len(text) > LARGEST:
        return {"trouble": f"its payload is longer than {LARGEST} bytes"}
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return {"trouble": "its payload is no JSON"}
    return payload if isinstance(payload, dict) else {"trouble": "its payload is no JSON object"}


def _too_late(*_: object) -> None:
    raise TimeoutError


def _all_of_it() -> bytes:
    """Standard input to its end, for who writes must not get a broken pipe. Little more than is allowed is kept."""
    text = b""
    while part := os.read(0, LARGEST):
        if len(text) <= LARGEST:
            text += part
    return text


def _call(words: Sequence[str], payload: Mapping[str, object]) -> Data:
    """``core.hooks.HookCall`` as JSON has it."""
    agent, event, *_ = (*words, "", "")
    trouble = payload.get("trouble") if len(payload) == 1 else ""
    return {
        "id": f"{time.time_ns():020d}-{os.getpid()}",
        "agent": _text(agent, _WORD),
        "event": _text(event, _WORD),
        "at": time.time(),
        "boot": _boot(),
        "chain": _chain(os.getppid()),
        "conversation": _text(payload.get("session_id"), _NAME),
        "detail": _text(payload.get("source") or payload.get("reason"), _WORD),
        "tasks": _tasks(payload.get("background_tasks")),
        "marks": [[name, _text(os.environ[name], _NAME)] for name in MARKS if os.environ.get(name)],
        "trouble": _text(trouble, _NAME),
    }


def _text(value: object, longest: int) -> str:
    """What was given as text; other things are none. Halves of a character are none either."""
    return value[:longest].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _tasks(value: object) -> list[str]:
    tasks = value[:_TASKS] if isinstance(value, list) else []
    said = (
        next((text for key in ("command", "description", "id") if (text := _text(task.get(key), _TASK))), "")
        for task in tasks
        if isinstance(task, dict)
    )
    return [task for task in said if task]


# -- who it hangs under ----------------------------------------------------------------


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""  # macOS: the agent finds out by itself, as long as we live


def _chain(pid: int) -> list[tuple[int, int]]:
    """Parents with their start times: ``observe.processes.chain`` without its imports."""
    links: list[tuple[int, int]] = []
    try:
        while pid > 1 and len(links) < _GENERATIONS:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            links.append((pid, int(fields[19])))  # field 22 of proc(5): starttime
            pid = int(fields[1])
    except (OSError, ValueError, IndexError):
        pass  # what was found so far
    return links


# -- where it goes ---------------------------------------------------------------------


def _heard(inbox: str, line: bytes) -> bool:
    """Whether the agent has it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER)
            connection.connect(inbox)
            connection.sendall(line)
            return connection.recv(_BEGINNING).replace(b" ", b"").startswith(_HEARD)
    except OSError:
        return False


def _leave(spool: str, name: str, line: bytes) -> None:
    """Put it where the agent finds it, whole, when it is there again."""
    os.umask(0o077)
    os.makedirs(spool, exist_ok=True)
    found = os.lstat(spool)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        return  # not ours alone
    kept = sorted(entry for entry in os.listdir(spool) if entry.endswith(".json"))
    for oldest in kept[: max(0, len(kept) - ROOM + 1)]:
        try:  # noqa: SIM105 - contextlib takes its time, and this has none
            os.unlink(os.path.join(spool, oldest))
        except FileNotFoundError:  # another hook was quicker
            pass
    fresh = os.path.join(spool, f".{name}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(line)
    os.rename(fresh, os.path.join(spool, name))
