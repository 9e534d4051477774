"""How long-running commands end: on Ctrl-C, on SIGTERM, and with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PARENT_LOOK_S = 0.5


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process at once, as it would have."""
    stopping = threading.Event()
    earlier = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        signal.signal(number, earlier[number])

    for number in earlier:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def end_with(parent: int | None) -> None:
    """SIGTERM for this process as soon as the parent is gone: a killed stack leaves nothing behind. None: no parent."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            pause.wait(PARENT_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    pause = threading.Event()
    threading.Thread(target=watch, name="parent", daemon=True).start()
