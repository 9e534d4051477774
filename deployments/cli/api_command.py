"""`vcfolio api`: the API with its page."""

from __future__ import annotations

import errno
import logging
import socket
import threading

import uvicorn

from api.addresses import page_address
from core.errors import BadInput, Unavailable
from db.bootstrap import prepare_database
from db.engine import Timeouts, make_engine
from db.settings import Settings, load_settings
from deployments.cli.arguments import Parent
from deployments.cli.stopping import end_with, stop_signal
from deployments.local.server import open_postgres
from deployments.logs import configure_logs

logger = logging.getLogger(__name__)

CONNECTIONS = 16
STOP_LOOK_S = 0.2
# A client is told within about two seconds that the database is unavailable.
TIMEOUTS = Timeouts(connect_s=2, pool_s=1.5, statement_s=10)


def api(parent: Parent = None) -> None:
    """Until it is told to stop. Raises BadInput where the port cannot be had."""
    from api.app import create_app  # noqa: PLC0415 - for those who serve
    from api.server import server_of  # noqa: PLC0415

    settings = load_settings()
    configure_logs("api")
    end_with(parent)
    with open_postgres(settings) as server, _listening(settings) as listening:
        engine = make_engine(server.url, max_connections=CONNECTIONS, application_name="vcfolio api", timeouts=TIMEOUTS)
        try:
            prepare_database(engine)
            logger.info("api started at %s", page_address(settings), extra={"stage": "start"})
            _serve(server_of(create_app(engine, settings)), listening)
        finally:
            engine.dispose()
    logger.info("api stopped")


def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    """Beside the main thread, which listens for signals: uvicorn would end the process by the very signal it got."""
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server")
    with stop_signal() as stopping:
        serving.start()
        while serving.is_alive() and not stopping.wait(STOP_LOOK_S):
            pass
        server.should_exit = True
        serving.join()
        if not stopping.is_set():
            raise Unavailable("the API's server ended by itself; its log says why")


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        return socket.create_server((settings.api_host, settings.api_port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            rule = "is in use by another program; choose another port"
            raise BadInput.of("VCFOLIO_API_PORT", settings.api_port, rule) from None
        raise BadInput.of(
            "VCFOLIO_API_HOST", settings.api_host, f"cannot be served: {error.strerror or error}"
        ) from None
