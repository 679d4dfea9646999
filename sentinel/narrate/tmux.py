"""What happened to tmux servers, and to the sessions inside of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sentinel.core.sentences import count
from sentinel.narrate.words import Data, duration, first, pid


def _server_unstuck(data: Data) -> str:
    outcome = data["outcome"]
    done = "was sent SIGCHLD" if outcome["result"] == "cured" else f"was not cured ({outcome['reason']})"
    return f"tmux server ({pid(data['server'])}) {done}: {first(data['evidence'])}"


def _server_reopened(data: Data) -> str:
    outcome = data["outcome"]
    done = "was sent SIGUSR1" if outcome["result"] == "cured" else f"could not be helped ({outcome['reason']})"
    return f"tmux server ({pid(data['server'])}) {done}: {first(data['evidence'])}"


def _opened(data: Data) -> str:
    return f'session "{data["name"]}" ({data["number"]}) is open in {data["server"]["title"]}'


def _renamed(data: Data) -> str:
    return f'session "{data["before"]}" ({data["number"]}) in {data["server"]["title"]} is called "{data["name"]}" now'


def _closed(data: Data) -> str:
    return f'session "{data["name"]}" ({data["number"]}) in {data["server"]["title"]} is closed'


def _swept(data: Data) -> str:
    kept = f", kept {len(data['kept'])}" if data["kept"] else ""
    removed = count(data["removed"], "dead socket")
    return f"removed {removed} in {data['directory']} in {duration(data['duration'])}{kept}"


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "tmux.unstuck": _server_unstuck,
    "tmux.reopened": _server_reopened,
    "tmux.opened": _opened,
    "tmux.renamed": _renamed,
    "tmux.closed": _closed,
    "tmux.swept": _swept,
}
