"""Kernels: functions that Numba compiles to machine code, kept on disk so that nobody waits for the compiler twice.

Numba's own cache looks at a function's file alone, though kernels are compiled into each other across files; it fails
where its directory cannot be written or one of its files was cut short; and it executes whatever lies there. So kernels
have a cache of their own: a directory named after all sources that kernels are made of, and in it one file for each
kernel, processor and set of argument types, with its checksum. A file is written under another name and then renamed,
so that any number of processes may compile at the same time. It counts only if nobody but this user, root or the owner
of the sources, which are executed anyway, can have written it. Whatever is wrong with the cache, a kernel is compiled
anew; that is all.

Arithmetic stays that of Python's floats: no fast-math, so nothing is reordered or fused.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
from numba.core import serialize, types
from numba.core.caching import _Cache as NumbaCache
from numba.core.compiler import CompileResult

from core.own_files import read_own, require_own_directory

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

ROOT = Path(__file__).parent
SOURCES = ("jit.py", "solver", "simulation")
"""Files and packages, below ROOT, that kernels are made of. `run` knows them, too, for its stamp."""

CHECKSUM_BYTES = hashlib.sha256().digest_size


def kernel(function: Kernel) -> Kernel:
    """Compiled at first use for the types that it is used with; it runs without the interpreter's lock.

    Division by zero gives an infinity or no number, as in NumPy.
    """
    return _compiled(function, inline="never")


def inlined(function: Kernel) -> Kernel:
    """A kernel that becomes part of its callers, as if it were written there.

    For what one kernel alone calls, and for what costs less than its call: it is not compiled by itself.
    """
    return _compiled(function, inline="always")


def _compiled(function: Kernel, inline: str) -> Kernel:
    """Constants that kernels hand each other count as any number: Numba would compile a kernel for each of them."""
    compiler: Any = numba.njit
    dispatcher = compiler(
        nogil=True,
        error_model="numpy",
        inline=inline,
        # Nobody calls kernels from C.
        no_cfunc_wrapper=True,
    )(function)
    dispatcher._cache = KernelCache(function)  # noqa: SLF001 - Numba has no public way to keep code elsewhere
    call_template = dispatcher.get_call_template
    unliteral: Any = types.unliteral
    dispatcher.get_call_template = lambda args, kws: call_template(
        tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()}
    )
    return cast(Kernel, dispatcher)


@cache
def source_digest() -> str:
    """16 hex digits that stand for every source that kernels are made of."""
    digest = hashlib.sha256()
    for source in source_files():
        digest.update(source.relative_to(ROOT).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def source_files() -> list[Path]:
    """Every Python file of SOURCES, sorted."""
    roots = [ROOT / name for name in SOURCES]
    return sorted(path for root in roots for path in ([root] if root.suffix == ".py" else root.rglob("*.py")))


def candidate_directories() -> Iterator[Path]:
    """Where compiled kernels may lie, the preferred place first.

    NUMBA_CACHE_DIR if it is set; beside this package, where an installation has them for all its users; the user's own.
    """
    name = f"kernels-{source_digest()}"
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]
        yield Path(numba.config.CACHE_DIR) / name  # type: ignore[attr-defined]
    yield ROOT / "__pycache__" / name
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "vcfolio" / name


@cache
def cache_directories() -> tuple[Path, ...]:
    """The candidates, decided once a process and not before the first kernel is needed; none without sources."""
    try:
        return tuple(candidate_directories())
    except OSError:
        return ()


@cache
def _owner_of_sources() -> tuple[int, ...]:
    return (Path(__file__).stat().st_uid,)


@cache
def writable_directory() -> Path | None:
    """The first candidate that can be written, and by nobody else; None where none is."""
    return next((directory for directory in cache_directories() if _is_writable(directory)), None)


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        require_own_directory(directory, also=_owner_of_sources())
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def remove_outdated() -> None:
    """Forget what older sources left beside this package."""
    for directory in (ROOT / "__pycache__").glob("kernels-*"):
        if directory.name != f"kernels-{source_digest()}":
            shutil.rmtree(directory, ignore_errors=True)


class KernelCache(NumbaCache):
    """Compiled code of one kernel, in the interface that Numba has for caches. None of its methods raises."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        return str(writable_directory() or "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for these types, None where it is not there or not whole."""
        target_context.refresh()
        rebuild: Any = CompileResult._rebuild  # noqa: SLF001 - Numba's own way to load it
        name = self._file_name(sig, target_context.codegen())
        for directory in cache_directories():
            with suppress(Exception):
                require_own_directory(directory, also=_owner_of_sources())
                stored = read_own(directory / name, also=_owner_of_sources())
                checksum, payload = stored[:CHECKSUM_BYTES], stored[CHECKSUM_BYTES:]
                # Machine code that is not whole would not raise but end the process.
                if hashlib.sha256(payload).digest() == checksum:
                    return rebuild(target_context, *pickle.loads(payload))  # noqa: S301 - it is our own, by its owner and mode
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        directory = writable_directory()
        if directory is not None:
            with suppress(Exception):
                dumps: Any = serialize.dumps
                payload = dumps(data._reduce())  # noqa: SLF001 - Numba's own way to store it
                _write_whole(directory / self._file_name(sig, data.codegen), payload)

    def _file_name(self, sig: Any, codegen: Any) -> str:
        """For this kernel, these types, this processor and these versions alone."""
        versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version)
        known_by = (self._function.__module__, self._function.__qualname__, str(sig), codegen.magic_tuple(), versions)
        return f"{self._function.__name__}-{hashlib.sha256(repr(known_by).encode()).hexdigest()[:32]}.kernel"

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...


def _write_whole(path: Path, payload: bytes) -> None:
    """The checksum, then the payload; under its name only when all of it is there."""
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(draft, path)  # noqa: PTH105
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
