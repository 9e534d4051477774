"""Waiting for PostgreSQL to say that there is something to do; and for the time to look again, should it not."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy import Engine

logger = logging.getLogger(__name__)

RECONNECT_AFTER_S = 5.0


class Listener:
    """LISTENs on one channel over a connection of its own, and makes a new one when that is lost.

    While there is none, `wait` merely waits: its users must poll as often as they need to.
    """

    def __init__(self, engine: Engine, channel: str) -> None:
        self._conninfo = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connect_args = {"application_name": f"vcfolio listener {channel}", "connect_timeout": 5}
        self._channel = channel
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._tried_at = -RECONNECT_AFTER_S

    def wait(self, timeout_s: float) -> bool:
        """True as soon as something was notified; False after `timeout_s` without."""
        connection = self._connected()
        if connection is None:
            time.sleep(timeout_s)
            return False
        try:
            return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error as error:
            self._lost(error)
            return False

    def heard(self, timeout_s: float) -> list[str] | None:
        """The payloads notified, as soon as there are any; none after `timeout_s`.

        None where some may have been missed: there is no connection, or a new one.
        """
        fresh = self._connection is None
        connection = self._connected()
        if connection is None:
            time.sleep(timeout_s)
            return None
        if fresh:
            return None
        try:
            return [notice.payload for notice in connection.notifies(timeout=timeout_s, stop_after=1)]
        except psycopg.Error as error:
            self._lost(error)
            return None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _lost(self, error: psycopg.Error) -> None:
        logger.warning("LISTEN %s lost its connection: %s; polling meanwhile", self._channel, str(error).strip())
        self.close()

    def _connected(self) -> psycopg.Connection[tuple[object, ...]] | None:
        if self._connection is None and time.monotonic() - self._tried_at >= RECONNECT_AFTER_S:
            self._tried_at = time.monotonic()
            try:
                self._connection = psycopg.connect(self._conninfo, autocommit=True, **self._connect_args)  # type: ignore[arg-type]
                self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            except psycopg.Error as error:
                logger.warning("LISTEN %s cannot connect: %s; polling meanwhile", self._channel, str(error).strip())
                self.close()
        return self._connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
