"""Keeps child processes running: restarts those that crash, with growing delays, and stops all in order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from db.settings import child_environment

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A child that ran this long before it crashed is restarted after the first pause again."""
STOP_TIMEOUT_S = 15.0
POLL_S = 0.1


@dataclass(slots=True)
class Service:
    """One child. arguments: of `vcfolio`."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = field(default=0.0)


class Supervisor:
    """Starts the services in order, and stops them in reverse. say: prints what happens."""

    def __init__(
        self, services: Sequence[Service], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._services = services
        self._say = say
        self._clock = clock

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; then all of them have ended when it returns."""
        try:
            while not stopping.wait(POLL_S):
                self.look()
        finally:
            self.stop()

    def look(self) -> None:
        """Check each service once: start those that are due, note those that have crashed."""
        for service in self._services:
            if service.process is None:
                if self._clock() >= service.due_at:
                    self._start(service)
                continue
            code = service.process.poll()
            if code is not None:
                self._note_crash(service, code)

    def stop(self) -> None:
        """The last started first. A service that does not stop in time is killed."""
        for service in reversed(self._services):
            process, service.process = service.process, None
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._say(f"{service.name} did not stop within {STOP_TIMEOUT_S:.0f} s and was killed")
                process.kill()
                process.wait()

    def _start(self, service: Service) -> None:
        service.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deployments.cli", *service.arguments],
            env=child_environment({}),
            stdin=subprocess.DEVNULL,
            # Ctrl-C goes to the parent alone, which stops its children in order.
            start_new_session=True,
        )
        service.started_at = self._clock()

    def _note_crash(self, service: Service, code: int) -> None:
        if self._clock() - service.started_at >= STEADY_S:
            service.pause_s = FIRST_PAUSE_S
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._say(f"{service.name} ended with {how}; it is restarted in {service.pause_s:.0f} s")
        service.process = None
        service.due_at = self._clock() + service.pause_s
        service.pause_s = min(2 * service.pause_s, LONGEST_PAUSE_S)
