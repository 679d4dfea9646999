"""Hooks in a JSON file of a coding agent: Claude Code's form, which Codex has taken over.

``{"hooks": {EVENT: [{"matcher": ..., "hooks": [{"type": "command", "command": ...}]}]}}``.
Each event gets an entry of its own after those of others, which stay byte for byte.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sentinel.core.sentences import count
from sentinel.errors import SentinelError
from sentinel.integrations import jsontext, keepsake, userfile
from sentinel.integrations.plan import Change, Host, Standing
from sentinel.integrations.userfile import UserFile

EVENTS = ("SessionStart", "SessionEnd", "Stop", "SubagentStop")
_TIMEOUT = 5
"""Seconds after which the coding agent would go on without us."""
_CONTEXT = 2
"""Lines that are shown around a change."""


@dataclass(frozen=True, slots=True)
class HookFile:
    """A coding agent whose hooks are in such a file."""

    name: str
    title: str
    variable: str
    """Where it has its configuration, if this is set."""
    folder: str
    """Else there, in the home directory."""
    file: str
    trust: Callable[[Host, Path, Mapping[str, int]], tuple[bool, str]]
    """Whether it will run our entries, which stand at these places in the arrays of their events, and why not."""
    hint: str = ""
    starts_us: bool = True

    # -- what is asked of an integration ------------------------------------------------

    def install(self, host: Host, words: Sequence[str]) -> Change | None:
        """An entry for each event; older ones of ours are replaced, and what was before them is still known."""
        file = self._read(host)
        before = file.text or ""
        found, origin = keepsake.of(host.state, self.name, before)
        try:
            if not found and file.text is not None:
                origin = self.without(before)
            after = self.with_ours(origin or "", words)
        except jsontext.NotJson as error:
            raise self._refusal(host, error) from error
        if after == before or self._commands(before) == self._commands(after):
            return None

        def make() -> None:
            keepsake.leave(host.state, self.name, origin, after, without=self.without(after), now=before)
            userfile.write(file, after)

        shown = self._shown(host, before, after)
        return Change(shown, make, self.hint, _brief("make" if file.text is None else "change", shown))

    def uninstall(self, host: Host) -> Change | None:
        """What is ours is taken out; a file that was not changed since is as it was before."""
        if not self.place(host).parent.is_dir():
            return None
        file = self._read(host)
        if file.text is None:
            return None
        try:
            if not self._commands(file.text):
                return None
            after: str | None = self.without(file.text)
        except jsontext.NotJson as error:
            raise self._refusal(host, error) from error
        found, before = keepsake.of(host.state, self.name, file.text)
        if found:
            after = before

        def make() -> None:
            userfile.write(file, after)
            keepsake.drop(host.state, self.name)

        shown = self._shown(host, file.text, after or "")
        return Change(shown, make, brief=_brief("remove" if after is None else "change", shown))

    def status(self, host: Host) -> Standing:
        """What is in the file, and whether the agent would run it."""
        path = self.place(host)
        where = host.show(path)
        if not path.parent.is_dir():
            return Standing(installed=False, where=where, why=f"there is no {host.show(path.parent)}")
        text = userfile.read(path).text or ""
        try:
            places = self._places(text)
        except jsontext.NotJson as error:
            raise self._refusal(host, error) from error
        if missing := [event for event in EVENTS if event not in places]:
            why = f"nothing for {', '.join(missing)}" if places else ""
            return Standing(installed=False, where=where, why=why)
        trusted, why = self.trust(host, path, places)
        return Standing(installed=True, where=where, trusted=trusted, why=why)

    # -- the file -----------------------------------------------------------------------

    def place(self, host: Host) -> Path:
        """The file, whether it is there or not."""
        value = host.environ.get(self.variable, "")
        return (Path(value) if value.startswith("/") else host.home / self.folder) / self.file

    def with_ours(self, text: str, words: Sequence[str]) -> str:
        """The text with an entry for each event.

        Raises:
            NotJson: It is not such a file.
        """
        for event in EVENTS:
            hook = {"type": "command", "command": self.command(event, words), "timeout": _TIMEOUT}
            text = jsontext.append(text, ("hooks", event), {"hooks": [hook]})
        return text

    def without(self, text: str) -> str:
        """The text with no entry of ours.

        Raises:
            NotJson: It is not such a file.
        """
        for event in EVENTS:
            if event in self._places(text):
                text = jsontext.remove(text, ("hooks", event), partial(self._is_ours, event))
        return text

    def command(self, event: str, words: Sequence[str]) -> str:
        """The line for ``sh``. Where Sentinel is not any more, it does nothing and says nothing."""
        return f"[ ! -x {shlex.quote(words[0])} ] || {shlex.join(words)} hook {self.name} {event} || :"

    def _read(self, host: Host) -> UserFile:
        path = self.place(host)
        if not path.parent.is_dir():
            raise SentinelError(f"there is no {host.show(path.parent)}: {self.title} has not run here yet")
        return userfile.read(path)

    def _refusal(self, host: Host, error: jsontext.NotJson) -> SentinelError:
        return SentinelError(f"{host.show(self.place(host))} was left as it is: {error}")

    def _is_ours(self, event: str, entry: Any) -> bool:
        hooks = entry.get("hooks") if isinstance(entry, dict) else None
        if not isinstance(hooks, list) or not hooks:
            return False
        ours = re.compile(rf"sentinel\S* hook {self.name} {event}\b")
        return all(isinstance(hook, dict) and ours.search(str(hook.get("command", ""))) for hook in hooks)

    def _entries(self, text: str) -> dict[str, list[Any]]:
        """What the file has for our events."""
        whole = jsontext.decode(text)
        hooks = whole.get("hooks", {}) if isinstance(whole, dict) else {}
        found = {event: hooks.get(event) for event in EVENTS} if isinstance(hooks, dict) else {}
        return {event: entries for event, entries in found.items() if isinstance(entries, list)}

    def _places(self, text: str) -> dict[str, int]:
        """Where in the array of its event the first entry of ours stands."""
        return {
            event: next(number for number, entry in enumerate(entries) if self._is_ours(event, entry))
            for event, entries in self._entries(text).items()
            if any(self._is_ours(event, entry) for entry in entries)
        }

    def _commands(self, text: str) -> list[str]:
        """What our entries run, in order."""
        return [
            hook["command"]
            for event, entries in self._entries(text).items()
            for entry in entries
            if self._is_ours(event, entry)
            for hook in entry["hooks"]
        ]

    def _shown(self, host: Host, before: str, after: str) -> list[str]:
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm="")
        return [host.show(self.place(host)), *list(lines)[2:]]


def _brief(what: str, shown: Sequence[str]) -> list[str]:
    """One line about a file and its difference."""
    path, *lines = shown
    numbers = {word: sum(line.startswith(sign) for line in lines) for word, sign in (("added", "+"), ("removed", "-"))}
    parts = [f"{count(number, 'line')} {word}" for word, number in numbers.items() if number]
    return [f"{what} {path}: {' and '.join(parts)}"]
