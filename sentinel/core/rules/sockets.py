"""When a socket file is stale.

Existence says nothing: tmux leaves its socket after every kind of end, and Overmind's
survives a crash. A refused connection says little more (a full backlog and a socket that
is bound but not listening refuse too), so nobody connects: the kernel is asked which
inodes living sockets are bound to.
"""

from __future__ import annotations

from sentinel.core.facts import Gone, SocketFacts, Unknown
from sentinel.core.sessions import SocketMark
from sentinel.core.verdicts import FileVerdict, Kept, Stale


def judge_socket(mark: SocketMark, facts: SocketFacts | Gone | Unknown, uid: int, owner: str) -> FileVerdict | None:
    """Decide about a socket file of a dead session. None: there is no such file.

    ``owner`` is the sentence that says who made it and how that one ended.
    """
    match facts:
        case Gone():
            return None
        case Unknown():
            return Kept(mark.path, "unknown", str(facts))
    if not facts.is_socket:
        return Kept(mark.path, "not-a-socket", "it is not a socket any more")
    if facts.uid != uid:
        return Kept(mark.path, "other-user", f"it belongs to another user (uid {facts.uid})")
    if mark.inode is not None and (facts.device, facts.inode) != (mark.device, mark.inode):
        return Kept(mark.path, "identity", "it is not the file that the dead session made")
    if isinstance(facts.bound, Unknown):
        return Kept(mark.path, "unknown", str(facts.bound))
    if facts.bound:
        return Kept(mark.path, "in-use", "a living process holds this socket")
    return Stale(mark.path, facts.device, facts.inode, (owner, "no living socket is bound to this inode"))
