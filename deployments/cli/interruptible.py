"""Ctrl-C while a flow runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

STOP_TIMEOUT_S = 15.0
"""Enough on a busy machine, too; what is left behind keeps its leases until they run out. Ctrl-C again ends it."""
WAKE_S = 0.1


def run_interruptibly(work: Callable[[], object], give_up: Callable[[], None]) -> None:
    """Do the work in another thread, and wait for it here. Raises what it raises.

    Python raises KeyboardInterrupt in the main thread, at whatever that is doing; libraries that are interrupted at any
    point of theirs may lose it, or crash. So the main thread does nothing but wait. give_up: makes the work stop soon;
    if it does not, it is left behind, and ends with the process.
    """
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name="interruptible", daemon=True).start()
        # Not in one wait: a signal that the system gives to another thread is seen only when this one wakes.
        while not wait([outcome], timeout=WAKE_S).done:
            pass
    except KeyboardInterrupt:
        give_up()
        if not wait([outcome], timeout=STOP_TIMEOUT_S).done:
            # What it still logs finds its handlers closed; that is not for the terminal.
            logging.raiseExceptions = False
        raise
    outcome.result()
