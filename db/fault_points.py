"""Named places in the code where a test may strike: kill the process, stop it, or do something of the test's own.

A fault point does nothing unless it is armed, and each strikes once. `VCFOLIO_FAULT=bridge.claimed=kill` arms one in a
process of its own; `armed` arms one in the test's process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    "frontier.point_stored",
    "reaper.read",
    "cleanup.deleting",
]
"""before a claim, after it, after Prefect has made the run and before that is marked; inside the transaction that
stores a matrix; and so on."""

_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}

_armed: dict[str, Callable[[], None]] = {}


def fault_point(name: FaultPoint) -> None:
    """Strikes if a test has armed it."""
    if _armed:
        action = _armed.pop(name, None)
        if action is not None:
            action()


@contextmanager
def armed(name: FaultPoint, action: Callable[[], None]) -> Iterator[None]:
    """`action` is called at the first time that the point is passed within the block."""
    _armed[name] = action
    try:
        yield
    finally:
        _armed.pop(name, None)


def arm(specification: str | None) -> None:
    """NAME=kill or NAME=stop, as VCFOLIO_FAULT has it. Raises BadInput for any other text."""
    if specification is None:
        return
    name, _, action = specification.partition("=")
    if name not in get_args(FaultPoint) or action not in _ACTIONS:
        names = ", ".join(get_args(FaultPoint))
        raise BadInput.of("VCFOLIO_FAULT", specification, f"must be NAME=kill or NAME=stop with NAME one of {names}")
    _armed[name] = _ACTIONS[action]
