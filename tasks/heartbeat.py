"""The sign of life of a running session: extends its lease, carries its progress, notices when it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Engine

from core.errors import Superseded, Unavailable
from db.engine import transaction
from db.matrix_values import LoadedMatrix
from db.session_rows import Fence
from db.sessions import extend_lease, owns
from db.settings import Settings

logger = logging.getLogger(__name__)

_RUNNING: dict[UUID, Heartbeat] = {}


class Beat:
    """Calls `beat` every `every_s` seconds in a thread while its block lasts; `lost` is set once it answers False.

    While the database is away nothing is known: it goes on asking, and the lease, judged by the database's clock,
    decides.
    """

    def __init__(self, beat: Callable[[], bool], every_s: float, name: str) -> None:
        self.lost = threading.Event()
        self._beat = beat
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                ours = self._beat()
            except Unavailable as error:
                logger.warning("%s: the database is away: %s", self._thread.name, error)
                continue
            if not ours:
                self.lost.set()
                return


class Heartbeat(Beat):
    """Of one run of a session: looks every `ownership_check_s` whether the run still owns it, and extends the lease
    every `heartbeat_s` and whenever there is progress to tell.

    matrix: the run's, loaded once and released with the heartbeat.
    """

    def __init__(self, engine: Engine, fence: Fence, settings: Settings) -> None:
        super().__init__(self._look, settings.ownership_check_s, f"heartbeat of session {fence.session_id}")
        self.fence = fence
        self.matrix = LoadedMatrix(engine)
        self._engine = engine
        self._settings = settings
        self._progress: Mapping[str, Any] | None = None
        self._extended_at = monotonic()

    def report(self, progress: Mapping[str, Any]) -> None:
        """What the run is doing now; stored with the next beat."""
        self._progress = progress

    def require(self) -> None:
        """Raises Superseded once the session is lost."""
        if self.lost.is_set():
            raise Superseded(f"session {self.fence.session_id} is no longer owned by epoch {self.fence.epoch}")

    def __enter__(self) -> Self:
        _RUNNING[self.fence.lease_token] = self
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        del _RUNNING[self.fence.lease_token]
        self.matrix.drop()

    def _look(self) -> bool:
        progress, self._progress = self._progress, None
        with transaction(self._engine) as conn:
            if progress is None and monotonic() - self._extended_at < self._settings.heartbeat_s:
                return owns(conn, self.fence)
            self._extended_at = monotonic()
            return extend_lease(conn, self.fence, self._settings.lease_s, progress)


def heartbeat_of(fence: Fence) -> Heartbeat:
    """The heartbeat of the run that this process is in."""
    return _RUNNING[fence.lease_token]
