"""A local file that takes its name only when all of it is written."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

SUFFIX = ".unfinished"
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def unfit_target(path: str) -> str | None:
    """Return why a file cannot be written there, or None; its folder is created if it is missing."""
    folder = os.path.dirname(path)  # noqa: PTH120 - a Path would change the spelling
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
        kind = stat.S_IFMT(os.lstat(path).st_mode)
    except FileNotFoundError:
        return None if os.access(folder, os.W_OK) else "permission denied"
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return "it contains a null character or an unpaired surrogate"
    if kind != stat.S_IFREG:
        return f"this is {_KINDS.get(kind, 'a device')}"
    return None if os.access(folder, os.W_OK) else "permission denied"


class UnfinishedFile:
    """
    A file beside the target, readable by its owner only, that replaces the target when it is closed.

    It is locked while its process lives: attempts that run at the same time have a file each, and ``remove_leftovers``
    removes those of attempts that were killed.

    :param target: the path
    :param owner: identifies the task; the same for all its attempts
    """

    def __init__(self, target: str, owner: str) -> None:
        self._target = target
        descriptor, self._path = _locked(os.path.dirname(target), _prefix(owner))  # noqa: PTH120 - as above
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> int:
        """Write to the end."""
        return self._file.write(data)

    def close(self) -> None:
        """Give it the target's name; raises OSError if the disk is full, and leaves the target as it is."""
        try:
            with self._file as file:
                file.flush()
                os.fsync(file.fileno())
                os.replace(self._path, self._target)  # noqa: PTH105 - as above
        except OSError:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove it."""
        os.unlink(self._path)  # noqa: PTH108 - as above
        with suppress(OSError):  # the disk is full
            self._file.close()


def _locked(folder: str, prefix: str) -> tuple[int, str]:
    while True:
        descriptor, path = tempfile.mkstemp(SUFFIX, prefix, folder)
        with suppress(OSError):  # a file system without locks: nothing is removed there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):  # noqa: PTH110 - another attempt may have removed it before it was locked
            return descriptor, path
        os.close(descriptor)


def remove_leftovers(target: str, owner: str) -> None:
    """Remove the files that killed attempts of a task have left beside the target."""
    for path in Path(target).parent.glob(f"{_prefix(owner)}*{SUFFIX}"):
        _remove_if_dead(path)


def _prefix(owner: str) -> str:
    return f".{hashlib.sha256(owner.encode()).hexdigest()[:12]}."


def _remove_if_dead(path: Path) -> None:
    with suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises OSError while its process lives
        path.unlink()
