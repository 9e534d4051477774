"""How kernels are compiled: without the interpreter's lock, and kept on disk so that nobody waits twice.

The kernels call each other across modules, and Numba notices only changes in a kernel's own file. So the cache lives in
a directory named after all sources of this package together: any change begins a new one.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent


def source_digest() -> str:
    """16 hex digits that stand for every source file of this package."""
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def choose_cache_directory() -> Path | None:
    """Beside the package; where that cannot be written, in the user's own cache; None where neither can be."""
    name = f"kernels-{source_digest()}"
    candidates = [PACKAGE / "__pycache__" / name]
    with suppress(RuntimeError):  # a user without a home
        candidates.append(Path.home() / ".cache" / "vcfolio" / name)
    return next((directory for directory in candidates if _writable(directory)), None)


CACHE_DIRECTORY = choose_cache_directory()


def kernel(function: Kernel) -> Kernel:
    """Compile at first use, for the types it is used with. Sums keep their order: no fast mathematics."""
    settings: Any = numba.config
    before = settings.CACHE_DIR
    if CACHE_DIRECTORY is not None:
        settings.CACHE_DIR = str(CACHE_DIRECTORY)
    try:
        compiled: Any = numba.njit(cache=CACHE_DIRECTORY is not None, nogil=True, error_model="numpy")(function)
    finally:
        settings.CACHE_DIR = before
    return cast(Kernel, compiled)


def compile_all() -> None:
    """Make every kernel ready: solve a small program that needs them all, and forget what older sources left."""
    from core.solver.branch_and_bound.first_program import solve_first_program  # noqa: PLC0415 - it imports this module

    solve_first_program()
    if CACHE_DIRECTORY is not None:
        for directory in CACHE_DIRECTORY.parent.glob("kernels-*"):
            if directory != CACHE_DIRECTORY:
                shutil.rmtree(directory, ignore_errors=True)
