"""What lies in the file system: facts about directories."""

from __future__ import annotations

import os

from sentinel.core.facts import DirectoryFacts, Gone, Unknown


def look_at_directory(path: str) -> DirectoryFacts | Gone | Unknown:
    """What is at ``path``; ``mode`` tells whether it is a directory. Follows no symlink in its last part."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Gone()
    except (OSError, ValueError) as error:
        return Unknown(f"what is at {path}", str(error))
    return DirectoryFacts(path, status.st_dev, status.st_ino, status.st_uid, status.st_mode, status.st_mtime)


def names_in(directory: str) -> list[str] | Unknown:
    """What a directory holds, sorted. One that is not there holds nothing."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return Unknown(f"what is in {directory}", str(error))
