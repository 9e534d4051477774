"""A fixed piece of work, timed: what the seconds of a run on another machine, or on a busy one, are compared by."""

from __future__ import annotations

import time

STEPS = 4_000_000


def reference_loop_s() -> tuple[float, float]:
    """Processor seconds and seconds on the clock that a loop of integer arithmetic in pure Python takes here, now."""
    processor, clock = time.process_time(), time.perf_counter()
    state = 1
    for _ in range(STEPS):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    assert state == 1_241_550_593, state
    return time.process_time() - processor, time.perf_counter() - clock
