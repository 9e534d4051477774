"""Files that nobody else can have written: what is trusted, compiled or executed is read from no others.

A file is our own if this user or root owns it and neither its group nor others may write it. Links are not followed:
one may be planted by whoever may write the directory.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from core.errors import VcfolioError

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither links of this kind nor owners that are numbers


class NotOurs(VcfolioError, OSError):
    """Somebody else may have written it."""

    code = "not_ours"


def keep_new_files_private() -> None:
    """For this process and those that it starts: what they make, nobody else can read."""
    os.umask(0o077)


def require_own_directory(path: Path, also: Collection[int] = ()) -> None:
    """Takes group's and others' right to write away from a directory of ours.

    also: further owners that are trusted. Raises NotOurs for a directory that somebody else owns or may write, OSError
    where there is none.
    """
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotOurs(f"{path} is no directory")
    if _is_mine(found) and found.st_mode & WRITABLE_BY_OTHERS:
        path.chmod(stat.S_IMODE(found.st_mode) & ~WRITABLE_BY_OTHERS)
        found = path.stat()
    _require_own(found, path, also)


def make_private_directory(path: Path) -> None:
    """The directory, for this user alone. Raises NotOurs for one that somebody else owns."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_own_directory(path)
    if _is_mine(found := path.stat()) and found.st_mode & 0o077:
        path.chmod(0o700)


def read_own(path: Path, also: Collection[int] = ()) -> bytes:
    """Raises NotOurs for a file that somebody else owns or may write and for what is no regular file, OSError where it
    cannot be read."""
    # Without waiting for the other end, should it be a pipe.
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotOurs(f"{path} is no regular file")
        _require_own(found, path, also)
        return file.read()


def write_own(path: Path, content: bytes) -> None:
    """Whole or not at all, readable for this user alone. A link of that name is replaced, not followed."""
    draft = _draft(path, content)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove_within(directory: Path, name: str) -> None:
    """The file of this name, if there is one; a directory that is a link is not entered. Raises OSError for one."""
    entered = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=entered)
    finally:
        os.close(entered)


def own_secret(path: Path, made: str) -> str:
    """What the file holds; `made` where there was none. Of several processes at once all are given the same.

    Raises NotOurs for a file that somebody else could read or write.
    """
    with suppress(FileNotFoundError):
        return _read_secret(path)
    draft = _draft(path, made.encode())
    try:
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    return _read_secret(path)


def _read_secret(path: Path) -> str:
    secret = read_own(path).decode()
    if hasattr(os, "geteuid") and path.stat().st_mode & 0o077:
        raise NotOurs(f"{path} can be read by others, so it is no secret any more: delete it")
    return secret


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return draft


def _require_own(found: os.stat_result, path: Path, also: Collection[int]) -> None:
    if not hasattr(os, "geteuid"):
        return
    if found.st_uid not in (os.geteuid(), 0, *also):
        raise NotOurs(f"{path} belongs to another user (uid {found.st_uid})")
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise NotOurs(f"{path} can be written by other users")


def _is_mine(found: os.stat_result) -> bool:
    return hasattr(os, "geteuid") and found.st_uid == os.geteuid()
