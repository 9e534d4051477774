"""Named places in the code where a test may strike: kill the process, stop it, or do something of the test's own.

A fault point does nothing unless it is armed, and each strikes once. `VCFOLIO_FAULT=bridge.claimed=kill` arms one in a
process of its own; `armed` and `held` arm one in the test's process. What is held goes on when the place itself has
reason to end, such as a solve that is cancelled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

from core.errors import BadInput

FaultPoint = Literal[
    "create.before_commit",
    "create.after_commit",
    "bridge.before_claim",
    "bridge.claimed",
    "bridge.created",
    "matrix.simulated",
    "matrix.writing",
    "optimize.solving",
    "validate.before_transition",
    "frontier.solving",
    "frontier.point_stored",
    "reaper.read",
    "cleanup.deleting",
]
"""before a claim, after it, after Prefect has made the run and before that is marked; inside the transaction that
stores a matrix; and so on."""

HOLD_LOOKS_EVERY_S = 0.02

Ends = Callable[[], bool]
"""Whether a place that is held has reason to go on."""


def _hold(ends: Ends) -> None:
    while not ends():
        time.sleep(HOLD_LOOKS_EVERY_S)


_ACTIONS: dict[str, Callable[[Ends], None]] = {
    "kill": lambda _ends: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _ends: os.kill(os.getpid(), signal.SIGSTOP),
    "hold": _hold,
}

_armed: dict[str, Callable[[Ends], None]] = {}


def fault_point(name: FaultPoint, ends: Ends = lambda: False) -> None:
    """Strikes if a test has armed it. ends: what lets a held place go on; without it, only the end of the process."""
    if _armed:
        action = _armed.pop(name, None)
        if action is not None:
            action(ends)


def armed(name: FaultPoint, action: Callable[[], None]) -> AbstractContextManager[None]:
    """`action` is called at the first time that the point is passed within the block."""
    return _within_block(name, lambda _ends: action())


def held(name: FaultPoint) -> AbstractContextManager[None]:
    """The first to pass the point within the block stays there until it has reason to end."""
    return _within_block(name, _hold)


@contextmanager
def _within_block(name: FaultPoint, action: Callable[[Ends], None]) -> Iterator[None]:
    _armed[name] = action
    try:
        yield
    finally:
        _armed.pop(name, None)


def arm(specification: str | None) -> None:
    """NAME=kill, NAME=stop or NAME=hold, as VCFOLIO_FAULT has it. Raises BadInput for any other text."""
    if specification is None:
        return
    name, _, action = specification.partition("=")
    if name not in get_args(FaultPoint) or action not in _ACTIONS:
        names = ", ".join(get_args(FaultPoint))
        raise BadInput.of("VCFOLIO_FAULT", specification, f"must be NAME=kill, stop or hold with NAME one of {names}")
    _armed[name] = _ACTIONS[action]
