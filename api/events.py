"""A session's changes as they happen: one LISTEN for the process, fanned out to every stream that is open.

What a stream sends is read from the session's row, never from the notification, which only says that there is something
to read. So a lost connection costs nothing but time: everybody looks again when it is back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine

from api.documents import StatusDocument
from db.listening import Listener
from db.tables.sessions import ALL_SESSIONS, CHANGES

LOOK_AGAIN_S = 15.0
"""A stream looks so often by itself, should it have heard nothing."""
STOP_LOOK_S = 0.5


class SessionChanges:
    """Wakes those who wait for a session. `start` and `stop` belong to the application's lifespan."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._listen, name="session changes", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Ends every stream, too."""
        self._stopping.set()
        self._wake(None)
        await asyncio.to_thread(self._thread.join)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @contextmanager
    def of(self, session_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the session may have changed. To be used in the application's loop."""
        event, key = asyncio.Event(), str(session_id)
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def _listen(self) -> None:
        assert self._loop is not None
        with Listener(self._engine, CHANGES) as listener:
            while not self._stopping.is_set():
                heard = listener.heard(STOP_LOOK_S)
                if heard is None or heard:
                    self._loop.call_soon_threadsafe(self._wake, heard)

    def _wake(self, sessions: list[str] | None) -> None:
        """None: all of them."""
        everybody = sessions is None or ALL_SESSIONS in sessions
        for key in list(self._waiting) if everybody else set(sessions or ()) & self._waiting.keys():
            for event in self._waiting[key]:
                event.set()


async def follow(
    changes: SessionChanges, session_id: UUID, look: Callable[[], StatusDocument | None]
) -> AsyncIterator[StatusDocument]:
    """The status now and after each change, until the session has ended, is not to be seen any more, or we stop."""
    last: StatusDocument | None = None
    with changes.of(session_id) as changed:
        while not changes.stopping:
            changed.clear()
            seen = await asyncio.to_thread(look)
            if seen is None:
                return
            if seen != last:
                yield seen
                last = seen
            if seen.status.terminal:
                return
            try:
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN_S)
            except TimeoutError:
                continue
