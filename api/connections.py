"""How long a client may take, and how many there may be at once: what no login guards must cost little.

A request's head has a deadline from its first moment, whatever trickles in; its body has one of its own (`security`).
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 512
HEAD_S = 10.0


class BoundedConnection(H11Protocol):
    """A connection is closed unheard where there are `MOST_CONNECTIONS`, and when `HEAD_S` bring no whole head."""

    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        """A deadline runs for as long as a request is waited for: more of the same head does not move it."""
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting or self.transport.is_closing():
            self._unwatch()
        elif self._head_deadline is None:
            self._head_deadline = self.loop.call_later(HEAD_S, self._too_slow)

    def _unwatch(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _too_slow(self) -> None:
        self._head_deadline = None
        self.transport.close()
