"""What tasks and flows of this process share: settings and one pool of connections, opened on first use."""

from __future__ import annotations

import threading
from functools import lru_cache

from sqlalchemy import Engine

from core.errors import BadInput
from db.engine import make_engine
from db.settings import Settings, load_settings


def settings() -> Settings:
    return load_settings()


def engine() -> Engine:
    """Connections to the database of DATABASE_URL, set by the process that starts a flow, embedded server or not."""
    url = settings().database_url
    if url is None:
        raise BadInput.of("DATABASE_URL", None, "must be set where flows run: the address of vcfolio's database")
    # Of two threads that ask at once, a cache alone would let each make a pool, and lose one with its connections.
    with _making:
        return _engine(url)


_making = threading.Lock()


@lru_cache(maxsize=4)
def _engine(url: str) -> Engine:
    return make_engine(url)
