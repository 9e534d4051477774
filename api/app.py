"""The application: routes, errors, protection. One for each process, over one engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import Engine

from api import openapi, page_access, problems
from api.events import SessionChanges
from api.hosts import KnownHosts
from api.page import frontier_pages, request_pages, session_pages, static_files
from api.routes import catalogue, events, frontier, health, sessions
from api.security import BoundedBodies, ProtectedAnswers
from db.settings import Settings

PAGES = (session_pages, request_pages, frontier_pages)

DESCRIPTION = """
Where should a fund's capital go? A request becomes a **session**, which simulates thousands of correlated scenarios,
finds the portfolio with the highest expected multiple within the limits, and tests it out of sample.

Fractions are 0 to 1, money is USD, multiples are on allocated capital, times are UTC. Errors are problem details
(RFC 9457); `code` tells them apart, `problems` lists every field that is wrong.
"""


def create_app(engine: Engine, settings: Settings) -> FastAPI:
    """engine: of a migrated database. The caller disposes of it."""
    changes = SessionChanges(engine)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        changes.start()
        yield
        await changes.stop()

    app = FastAPI(
        lifespan=lifespan,
        title="vcfolio",
        version="1",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # the pages of both load scripts from elsewhere
        redoc_url=None,
        responses={
            401: {
                "model": problems.ProblemDocument,
                "description": "No credentials, or a token that is not valid.",
            },
            503: {"model": problems.ProblemDocument, "description": "The database cannot be reached; try again."},
        },
    )
    app.state.engine = engine
    app.state.settings = settings
    app.state.changes = changes
    problems.install(app)
    page_access.install(app)
    app.add_middleware(BoundedBodies, engine=engine)
    app.add_middleware(KnownHosts, settings=settings)
    app.add_middleware(ProtectedAnswers)
    for routes in (health, sessions, events, frontier, catalogue, page_access, *PAGES):
        app.include_router(routes.router)
    app.mount("/static", static_files.assets())
    openapi.install(app)
    return app
