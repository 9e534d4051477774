"""The page as browsers meet it: a real server on a port of its own, over a real database."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import uvicorn
from sqlalchemy import Engine

from api.app import create_app
from db.access import create_login_link
from db.engine import transaction
from db.settings import Settings
from tests.waiting import eventually

DAY = timedelta(days=1)


class Browser(httpx.Client):
    """Keeps cookies, and closes its connections when it is forgotten."""

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True)
class Site:
    url: str
    engine: Engine

    def login_link(self, user: str = "local") -> str:
        with transaction(self.engine) as conn:
            return f"{self.url}/login/{create_login_link(conn, user, DAY)}"

    def browser(self) -> Browser:
        return Browser(base_url=self.url, timeout=60, trust_env=False)

    def logged_in(self, user: str = "local") -> Browser:
        """After the login link's button."""
        browser = self.browser()
        assert browser.post(self.login_link(user)).status_code == 303
        return browser


@contextmanager
def serving(engine: Engine) -> Iterator[Site]:
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_app(engine, Settings(home="/nowhere"))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="page under test")
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive())
        assert thread.is_alive()
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", engine)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
