"""Ways to a file that nobody can bend: one directory at a time, through descriptors."""

from __future__ import annotations

import errno
import os
import stat

_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOREPLACE = 1  # RENAME_NOREPLACE of linux/fs.h
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL)
_NO_SECOND_NAMES = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What link(2) says on file systems that know no hard links: FAT, many of FUSE and of virtual machines."""


class Refused(Exception):
    """Something that must not be touched; the message is the reason for people."""


def open_parent(path: str) -> tuple[int, str]:
    """The directory that ``path`` is in, as a descriptor, and the name in it.

    Raises:
        Refused: The path is not plain, goes through a symlink, or through a directory
            in which somebody else could exchange what is there.
        FileNotFoundError: A directory on the way is not there.
    """
    first, *parts = path.split("/")
    if first or not all(parts) or "." in parts or ".." in parts:
        raise Refused("its path is not a plain absolute one")
    *directories, name = parts
    fd = os.open("/", _DIRECTORY)
    try:
        for directory in directories:
            fd = _enter(fd, directory)
    except BaseException:
        os.close(fd)
        raise
    return fd, name


def _enter(parent: int, name: str) -> int:
    """Descriptor of a directory in another, which is closed."""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Refused(f"{name!r} on the way to it is not a directory, or a symlink to one") from None
        raise
    try:
        _trust(name, os.fstat(fd))
    except Refused:
        os.close(fd)
        raise
    os.close(parent)
    return fd


def _trust(name: str, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise Refused(f"the directory {name!r} on the way to it belongs to another user (uid {status.st_uid})")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise Refused(f"everybody may write to the directory {name!r} on the way to it")


def status_of(directory: int, name: str) -> os.stat_result:
    """What a name in a directory is; a symlink is itself.

    Raises:
        OSError: It is not there, or may not be looked at.
    """
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def put_back(directory: int, aside: str, name: str) -> None:
    """Give a thing its name again, unless somebody has taken the name meanwhile.

    Raises:
        OSError: FileExistsError when the name is taken; the thing stays where it is.
    """
    if not stat.S_ISDIR(status_of(directory, aside).st_mode):
        try:
            os.link(aside, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_SECOND_NAMES or not _rename(directory, aside, name):
                raise
        else:
            os.unlink(aside, dir_fd=directory)
    elif not _rename(directory, aside, name):
        # Without that call, rename(2) replaces nothing but an empty directory.
        os.rename(aside, name, src_dir_fd=directory, dst_dir_fd=directory)


def _rename(directory: int, aside: str, name: str) -> bool:
    """Ask the kernel to rename without replacing, for what can have no second name. Whether it knows how."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(directory, os.fsencode(aside), directory, os.fsencode(name), _NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code not in _NOT_SUPPORTED:
        raise OSError(code, os.strerror(code), name)
    return False
