"""Waiting for what another process does on its own."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 120.0

# Between two looks: a twentieth of what was waited, so that a long wait leaves the processor to what it waits for.
LEAST_PAUSE_S, MOST_PAUSE_S, PAUSE_SHARE = 0.005, 0.2, 0.05


def eventually(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether it comes true; the patience is for a failure, not for timing."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > patience_s:
            return False
        time.sleep(min(max(LEAST_PAUSE_S, waited * PAUSE_SHARE), MOST_PAUSE_S))
    return True
