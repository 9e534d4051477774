"""Functions that Numba compiles to machine code: scalar loops that read like the formula and run like C.

Arithmetic stays that of Python's floats: no fast-math, so nothing is reordered or fused. Compiled code is kept beside
the source (or in the user's cache directory), by processor, so that a command waits for the compiler only once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`function`, compiled on its first call; it releases the interpreter's lock while it runs."""
    return cast("Function", numba.njit(cache=True, nogil=True)(function))


def inlined(function: Function) -> Function:
    """`function`, compiled into its callers: for small ones whose arguments cost more to hand over than to use."""
    return cast("Function", numba.njit(cache=True, nogil=True, inline="always")(function))
