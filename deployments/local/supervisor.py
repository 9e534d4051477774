"""Keeps child processes running: restarts what crashed, ever later, and stops all in order."""

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
"""A child that has run for so long begins again with the first pause."""
STOP_PATIENCE_S = 15.0
LOOK_S = 0.1


@dataclass(slots=True)
class Part:
    """One child. arguments: of `vcfolio`."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = field(default=0.0)


class Supervisor:
    """Starts the parts in order, and stops them in reverse. say: told what happens, for people."""

    def __init__(
        self, parts: Sequence[Part], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._say = say
        self._clock = clock

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set; then all of them have ended when it returns."""
        try:
            while not stopping.wait(LOOK_S):
                self.look()
        finally:
            self.stop()

    def look(self) -> None:
        """One look at each part: what is not there is started when it is due."""
        for part in self._parts:
            if part.process is None:
                if self._clock() >= part.due_at:
                    self._start(part)
                continue
            code = part.process.poll()
            if code is not None:
                self._note_crash(part, code)

    def stop(self) -> None:
        """The last started first. What does not end in time is killed, and said so."""
        for part in reversed(self._parts):
            process, part.process = part.process, None
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._say(f"{part.name} did not stop within {STOP_PATIENCE_S:.0f} s and is killed")
                process.kill()
                process.wait()

    def _start(self, part: Part) -> None:
        part.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deployments.cli", *part.arguments],
            env=child_environment({}),
            stdin=subprocess.DEVNULL,
            # Ctrl-C goes to the parent alone, which stops its children in order.
            start_new_session=True,
        )
        part.started_at = self._clock()

    def _note_crash(self, part: Part, code: int) -> None:
        if self._clock() - part.started_at >= STEADY_S:
            part.pause_s = FIRST_PAUSE_S
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._say(f"{part.name} ended with {how}; it is started again in {part.pause_s:.0f} s")
        part.process = None
        part.due_at = self._clock() + part.pause_s
        part.pause_s = min(2 * part.pause_s, LONGEST_PAUSE_S)
