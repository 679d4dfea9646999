"""What an installation leaves in a home, written down so that all of it can be taken out again.

Before a file is written its old content is kept in the manifest, and so is each directory
that was made for it. Taking out puts back what was there, byte by byte, or removes what was
not. A file that somebody has changed since is not touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from sentinel import paths
from sentinel.atomic import replace_file
from sentinel.errors import SentinelError

_VERSION = 1
_LARGEST = 16 << 20


class _File(msgspec.Struct):
    step: str
    path: str
    digest: str
    """Of what we wrote last."""
    before: bytes | None = None
    """What was there; None when nothing was."""
    mode: int = 0o644


class _Manifest(msgspec.Struct):
    version: int = _VERSION
    files: list[_File] = msgspec.field(default_factory=list)
    directories: list[str] = msgspec.field(default_factory=list)
    """Made by us, the outer ones first."""


class Footprint:
    """The manifest, and the hand that writes and takes out.

    Args:
        path: Of the manifest. Need not exist.

    Raises:
        SentinelError: The manifest cannot be read, so nobody knows what is ours.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._manifest = _read(path)

    @property
    def steps(self) -> frozenset[str]:
        """What has left something."""
        return frozenset(file.step for file in self._manifest.files)

    def of(self, step: str) -> list[Path]:
        """The files of a step."""
        return [Path(file.path) for file in self._manifest.files if file.step == step]

    def put(self, step: str, path: Path, content: bytes) -> bool:
        """Have the file hold this content. Whether it did not already.

        Raises:
            OSError: It is as it was before.
        """
        path = Path(os.path.realpath(path))  # a dotfile may be a link into somebody's repository: that stays one
        there = _content(path)
        entry = self._entry(path)
        if there == content and entry is not None:
            return False
        if entry is None:
            mode = os.stat(path).st_mode & 0o7777 if there is not None else 0o644
            entry = _File(step, str(path), "", there, mode)
            self._manifest.files.append(entry)
        elif there is not None and _digest(there) != entry.digest:
            entry.before = there  # somebody has changed it since: that is what comes back
        entry.digest = _digest(content)
        self.making(path.parent)
        self.save()
        replace_file(path, content, mode=entry.mode)
        return there != content

    def making(self, directory: Path) -> None:
        """Make a directory, and remember what of it was not there."""
        self.expect(directory)
        self.save()
        directory.mkdir(parents=True, exist_ok=True)

    def expect(self, directory: Path) -> None:
        """Remember what is missing of a directory that somebody else is about to make on our account."""
        directory = Path(os.path.realpath(directory))
        missing = [str(one) for one in (directory, *directory.parents) if not os.path.lexists(one)]
        self._manifest.directories += [one for one in reversed(missing) if one not in self._manifest.directories]

    def take_out(self, step: str) -> Iterator[str]:
        """Put everything of a step back as it was. Yields a sentence for each file that stays."""
        for file in [file for file in self._manifest.files if file.step == step]:
            if why := _take_out(file):
                yield why
            self._manifest.files.remove(file)
            self.save()

    def leave(self) -> None:
        """Forget the manifest, and remove the directories that were made for it all and are empty now."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        for directory in sorted(self._manifest.directories, key=len, reverse=True):
            with suppress(OSError):  # somebody has put something there, or it is gone
                os.rmdir(directory)

    def erase(self, directory: Path) -> None:
        """Remove a directory that was made on our account, with all that has come into it since.

        Raises:
            OSError: Some of it stays.
        """
        if self.made(directory):
            shutil.rmtree(directory)

    def made(self, directory: Path) -> bool:
        """Whether the directory is there on our account."""
        return os.path.realpath(directory) in self._manifest.directories

    def _entry(self, path: Path) -> _File | None:
        return next((file for file in self._manifest.files if file.path == str(path)), None)

    def save(self) -> None:
        """Write the manifest."""
        paths.make(self._path.parent)
        replace_file(self._path, msgspec.json.encode(self._manifest), sync=True)


def _take_out(file: _File) -> str:
    """Put one file back. Why it stays, or nothing."""
    path = Path(file.path)
    try:
        there = _content(path)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}), and stays"
    if there is None or there == file.before:
        return ""
    if _digest(there) != file.digest:
        return f"{path} has been changed since, and stays"
    if file.before is None:
        os.unlink(path)
    else:
        replace_file(path, file.before, mode=file.mode)
    return ""


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> _Manifest:
    try:
        with open(path, "rb") as file:
            said = msgspec.json.decode(file.read(_LARGEST), type=_Manifest)
    except FileNotFoundError:
        return _Manifest()
    except (OSError, msgspec.MsgspecError) as error:
        raise SentinelError(f"{path} cannot be read, so nobody knows what was installed where: {error}") from error
    if said.version != _VERSION:
        raise SentinelError(f"{path} is of version {said.version}, and this Sentinel knows {_VERSION}")
    return said
