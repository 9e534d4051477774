"""The API as clients meet it: a real server on a port of its own, over a real database."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import Engine, text

from api.app import create_app
from api.server import server_of
from db.access import create_login_link, create_token, page_session
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID, add_fund, add_member, local_user_id
from db.settings import Settings
from db.tables.access import Scope
from db.tables.owners import FundRole
from tests.waiting import eventually

DAY = timedelta(days=1)
OTHER_FUND = "Other Fund"


@dataclass(frozen=True)
class Served:
    url: str
    engine: Engine

    def client(self, secret: str | None = None, **options: object) -> httpx.Client:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]

    def token(self, user: str = "local", *scopes: Scope, name: str = "test") -> str:
        with transaction(self.engine) as conn:
            return create_token(
                conn, user_name=user, name=name, scopes=scopes or (Scope.READ, Scope.REQUEST), lifetime=DAY
            )[1]

    def login_link(self, user: str = "local") -> str:
        with transaction(self.engine) as conn:
            return f"{self.url}/login/{create_login_link(conn, user, DAY)}"

    def csrf_token(self, client: httpx.Client) -> str:
        """What the page's forms carry for this client."""
        with transaction(self.engine) as conn:
            session = page_session(conn, client.cookies["vcfolio_session"])
        assert session is not None
        return session.csrf_token

    @contextmanager
    def logged_in(self, user: str = "local") -> Iterator[httpx.Client]:
        """As a browser after the login link's button."""
        with self.client() as client:
            assert client.post(self.login_link(user)).status_code == 303
            yield client


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of every route, those of included routers among them."""

    def walk(routes: Iterable[object]) -> Iterator[tuple[str, str]]:
        for route in routes:
            if isinstance(route, APIRoute):
                yield from ((method, route.path) for method in route.methods)
            elif hasattr(route, "original_router"):
                yield from walk(route.original_router.routes)

    return set(walk(app.routes))


@contextmanager
def serving(engine: Engine, settings: Settings | None = None) -> Iterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = server_of(create_app(engine, settings or Settings(home="/nowhere", page_url=url)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="api under test")
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive())
        assert thread.is_alive()
        yield Served(url, engine)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def add_people(engine: Engine) -> UUID:
    """A member and a viewer of the example fund, and a stranger with a fund of his own; returns that fund's id."""
    with transaction(engine) as conn:
        add_member(conn, EXAMPLE_FUND_ID, "mia", FundRole.MEMBER)
        add_member(conn, EXAMPLE_FUND_ID, "vera", FundRole.VIEWER)
        other = add_fund(conn, OTHER_FUND, local_user_id(conn)).id
        add_member(conn, other, "sten", FundRole.OWNER)
        local = {"fund": other, "user": local_user_id(conn)}
        conn.execute(text("DELETE FROM fund_members WHERE fund_id = :fund AND user_id = :user"), local)
    return other
