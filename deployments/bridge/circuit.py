"""A circuit breaker: while Prefect is out of reach nothing is claimed, so that an outage costs no row its attempts."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.errors import Unavailable

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


class Circuit:
    """Closed as long as all goes well. `trip` opens it; then `allows` probes, ever more rarely, until that succeeds."""

    def __init__(self, probe: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None
        """Why it is open; None while it is closed."""
        self._probe = probe
        self._clock = clock
        self._pause_s = FIRST_PAUSE_S
        self._next_probe_at = 0.0

    def trip(self, reason: str) -> None:
        self.reason = reason
        self._pause_s = FIRST_PAUSE_S
        self._next_probe_at = self._clock() + self._pause_s

    def allows(self) -> bool:
        """Whether to go on now; asks `probe` when it is time."""
        if self.reason is None:
            return True
        if self._clock() < self._next_probe_at:
            return False
        try:
            self._probe()
        except Unavailable as error:
            self.reason = str(error)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._next_probe_at = self._clock() + self._pause_s
            return False
        self.reason = None
        return True
