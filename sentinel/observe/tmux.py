"""What a tmux server is, and which panes it has.

A server is known by the socket on which it listens, not by a question to it: one that is
stopped, busy or has lost its socket file does not answer and lives all the same. So a
failed listing is ``Unknown``, never "no panes".
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from sentinel.core.facts import SocketFacts, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.rules.directories import INSTANCE
from sentinel.core.sessions import SocketMark
from sentinel.observe import processes
from sentinel.observe.sockets import Bound, bound_inodes, listeners_of, look_at_socket, mark_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process  # asyncio takes 25 ms, and most who look ask nothing

_DIRECTORY = "tmux-{uid}"
_DEFAULT = "default"
_OPTIONS = "2c:CDdf:hlL:NqS:T:uUvV"  # getopt string of tmux 3.1 to 3.8 together
_FIELDS = "#{pane_id} #{pane_pid} #{pane_dead} #{session_id} #{window_id} #{session_name}"
_ROW = re.compile(  # tmux 3.8 has no number for a dead pane
    r" (?P<pane>%\d+) (?P<pid>\d+|(?= 1 )) (?P<dead>[01]) (?P<session>\$\d+) (?P<window>@\d+) (?P<name>.*)", re.DOTALL
)
_SESSION = re.compile(r"(?P<session>\$\d+) (?P<attached>\d+) (?P<directory>.*)", re.DOTALL)
_EXCERPT = 200
_ENOUGH = 1 << 22
"""Bytes: some 40,000 panes. What is cut off there has a short last row, and is unknown."""


@dataclass(frozen=True, slots=True)
class TmuxServer:
    """A living tmux server, as the kernel and its arguments show it."""

    socket: SocketMark | None
    """None when its file is not where the server made it: no client can reach it."""
    label: str
    """What a person calls it: ``default``, the name given to ``-L``, or the path given to ``-S``."""
    is_overminds: bool
    """Its label is one that Overmind gives to the server that it starts for itself."""
    bound_to: str = ""
    """Where it made its socket, also when that file is gone. SIGUSR1 makes it again there."""


@dataclass(frozen=True, slots=True)
class Pane:
    """One pane of a server."""

    pane_id: str
    """``%5``: never reused while the server lives."""
    pid: int
    """What was started in it. Of a dead pane: 0, or a number that may be somebody else's by now."""
    dead: bool
    session_id: str
    """``$3``."""
    window_id: str
    """``@7``."""
    session: str
    """The session's name: free text, newlines and escapes included."""


@dataclass(frozen=True, slots=True)
class TmuxSession:
    """One session of a server."""

    session_id: str
    """``$3``."""
    attached: int
    """How many clients show it now."""
    directory: str
    """Where its new windows begin; empty where it is not told (3.1c)."""
    name: str
    """Free text, newlines and escapes included."""


def socket_directory(environ: Mapping[str, str] = os.environ) -> str:
    """Where a tmux started in this environment keeps its sockets."""
    wanted = environ.get("TMUX_TMPDIR", "")
    root = wanted if wanted and os.path.isdir(wanted) else "/tmp"  # noqa: S108 - it is tmux that puts them there
    return os.path.join(os.path.realpath(root), _DIRECTORY.format(uid=os.geteuid()))


def servers() -> list[TmuxServer] | Unknown:
    """Every tmux server of ours that lives, on whatever socket. None of them is asked."""
    ours, everyone = os.geteuid(), processes.everyone()
    if isinstance(everyone, Unknown):
        return everyone
    pids = [pid for pid in everyone if processes.comm(pid) == TMUX_SERVER and processes.owner(pid) == ours]
    bound = bound_inodes()
    found = [server for pid in pids if isinstance(server := server_of(pid, bound), TmuxServer)]
    # What a server has just forked still is like it, the socket included.
    once = {server.socket: server for server in found if server.socket is not None}
    return [*once.values(), *(server for server in found if server.socket is None)]


def server_of(pid: int, bound: Bound | Unknown | None = None) -> TmuxServer | Unknown:
    """What the tmux server ``pid`` is. It is asked nothing."""
    listeners = listeners_of(pid, bound)
    if isinstance(listeners, Unknown):
        return listeners
    for entry in listeners:
        mark = mark_of(pid, entry)
        label = _label(mark.path if mark else entry.name)
        return TmuxServer(mark, label, INSTANCE.fullmatch(label) is not None, mark.path if mark else entry.name)
    program = processes.program(pid)
    if isinstance(program, Unknown):
        return program
    label = _label_of_arguments(program[1])
    if not label:
        return Unknown(f"which socket tmux server {pid} has", "it listens on none")
    return TmuxServer(None, label, INSTANCE.fullmatch(label) is not None)


def server_by_arguments(pid: int) -> TmuxServer | Unknown:
    """What the tmux server ``pid`` is by the arguments of its first client alone, where nobody tells its sockets.

    Any argument that could be the name of an Overmind's server counts, whatever tmux made of it.
    """
    program = processes.program(pid)
    if isinstance(program, Unknown):
        return program
    if not program[1]:
        return Unknown(f"with which arguments tmux server {pid} was started", "nobody may read them")
    named = any(INSTANCE.fullmatch(each, max(each.find("overmind-"), 0)) for each in program[1])
    return TmuxServer(None, _label_of_arguments(program[1]) or "?", named)


def _label(path: str) -> str:
    directory, _, name = path.rpartition("/")
    return name if re.fullmatch(r"tmux-\d+", directory.rpartition("/")[2]) else path


def _label_of_arguments(argv: Sequence[str]) -> str:
    """The label by ``-L`` or ``-S``; a server has the arguments of its first client. Empty if nobody can tell."""
    import getopt  # seldom wanted

    try:
        options = dict(getopt.getopt(list(argv[1:]), _OPTIONS)[0])
    except getopt.GetoptError:
        return ""
    if not argv:  # nobody may read them
        return ""
    return _label(options["-S"]) if "-S" in options else options.get("-L", _DEFAULT)


async def list_panes(socket: SocketMark, deadline: float = 1.0, program: str = "tmux") -> list[Pane] | Unknown:
    """Every pane of the server that listens on ``socket``.

    Args:
        socket: Asked only while a living server is bound to this very file.
        deadline: Seconds. A stopped server accepts the question and never answers.
        program: The client to ask with; one of another version may not be understood.
    """
    # A name may hold anything, in tmux 3.1 also a newline followed by what looks like a row.
    # It cannot hold a word that did not exist when it was given.
    word = os.urandom(8).hex()
    question = f"which panes {socket.path} has"
    answer = await ask_server(question, socket, deadline, [program, "list-panes", "-aF", f"{word} {_FIELDS}"])
    return answer if isinstance(answer, Unknown) else _panes(question, word, answer)


async def list_sessions(
    socket: SocketMark, deadline: float = 1.0, program: str = "tmux"
) -> list[TmuxSession] | Unknown:
    """Every session of the server that listens on ``socket``. The arguments are those of ``list_panes``."""
    word = os.urandom(8).hex()
    question = f"which sessions {socket.path} has"
    fields = f"{word} #{{session_id}} #{{session_attached}} #{{session_path}}{word}#{{session_name}}"
    answer = await ask_server(question, socket, deadline, [program, "list-sessions", "-F", fields])
    return answer if isinstance(answer, Unknown) else _sessions(question, word, answer)


async def ask_server(question: str, socket: SocketMark, deadline: float, words: list[str]) -> str | Unknown:
    """What the server that is still bound to ``socket`` answers to a client with these words.

    Args:
        question: What is asked, as a clause: it stands in an ``Unknown``.
        socket: Asked only while a living server of ours is bound to this very file.
        deadline: Seconds. The client is killed then.
        words: The client, and its command.
    """
    seen = look_at_socket(socket.path)
    if not isinstance(seen, SocketFacts):
        return seen if isinstance(seen, Unknown) else Unknown(question, "the socket is not there")
    if isinstance(seen.bound, Unknown):
        return seen.bound
    if not seen.bound or seen.uid != os.geteuid():
        return Unknown(question, "no server of ours holds the socket")
    if socket.inode is not None and (seen.device, seen.inode) != (socket.device, socket.inode):
        return Unknown(question, "another server has taken its place")
    program, *command = words
    return await _ask(question, deadline, [program, "-u", "-S", socket.path, *command])


async def _ask(question: str, deadline: float, command: list[str]) -> str | Unknown:
    """Output of a tmux client, killed at the deadline."""
    import asyncio

    # $TMUX would override the choice of the server in some commands: it must not be there.
    environ = {name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE")}
    try:
        # Files, not pipes: the client hands its descriptors to the server, and one that is
        # stopped would keep a pipe open long after the client was killed.
        with _scratch() as output, _scratch() as complaint:
            client = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=complaint, env=environ
            )
            if (status := await _ended(client, deadline)) is None:
                return Unknown(question, f"the server did not answer within {deadline:g} s")
            if status == 0:
                return _content(output, _ENOUGH).decode("utf-8", "surrogateescape")
            said = _content(complaint, _EXCERPT).decode("utf-8", "replace").strip()
            return Unknown(question, said or f"the client ended with status {status}")
    except (OSError, ValueError) as error:
        return Unknown(question, f"{command[0]} could not be run: {error}")


async def _ended(client: Process, deadline: float) -> int | None:
    """The exit status of a client of ours; None when it had to be killed."""
    import asyncio

    try:
        async with asyncio.timeout(deadline):
            return await client.wait()
    except TimeoutError:
        return None
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()


def _scratch() -> IO[bytes]:
    """A file without a name; in memory where the system can, so that a full disk changes nothing."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("tmux"), "w+b")
    import tempfile  # brings a MiB of compression libraries with it

    return tempfile.TemporaryFile()


def _content(file: IO[bytes], limit: int) -> bytes:
    file.seek(0)
    return file.read(limit)


def _panes(question: str, word: str, answer: str) -> list[Pane] | Unknown:
    """The rows of an answer; one that is short or odd makes all of it unknown."""
    before, *rows = f"\n{answer}".split(f"\n{word}")
    panes = []
    for row in rows:
        fields = _ROW.fullmatch(row.removesuffix("\n"))
        if fields is None:
            break
        panes.append(
            Pane(
                pane_id=fields["pane"],
                pid=int(fields["pid"] or 0),
                dead=fields["dead"] == "1",
                session_id=fields["session"],
                window_id=fields["window"],
                session=fields["name"],
            )
        )
    if before.strip() or len(panes) != len(rows) or (rows and not answer.endswith("\n")):
        return Unknown(question, "the answer has another form than expected")
    return panes


def _sessions(question: str, word: str, answer: str) -> list[TmuxSession] | Unknown:
    """The same of sessions. Between a session's directory and its name stands the word once more."""
    before, *rows = f"\n{answer}".split(f"\n{word} ")
    sessions = []
    for row in rows:
        about, told, name = row.removesuffix("\n").partition(word)
        fields = _SESSION.fullmatch(about)
        if fields is None or not told:
            break
        sessions.append(TmuxSession(fields["session"], int(fields["attached"]), fields["directory"], name))
    if before.strip() or len(sessions) != len(rows) or (rows and not answer.endswith("\n")):
        return Unknown(question, "the answer has another form than expected")
    return sessions
