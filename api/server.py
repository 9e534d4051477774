"""How the application is served: quietly, saying nothing of what serves it, and soon gone when told to stop."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from api.connections import BoundedConnection

SHUTDOWN_S = 3


def server_of(app: FastAPI) -> uvicorn.Server:
    """To be run over sockets of the caller's."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedConnection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
