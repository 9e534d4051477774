from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from db.bootstrap import prepare_database
from db.embedded.postgres import EmbeddedPostgres
from db.engine import make_engine
from tests.api.serving import Served, add_people, serving
from tests.conftest import NewDatabase

TEMPLATE = "api_template"


@pytest.fixture(scope="session")
def api_template(postgres: EmbeddedPostgres) -> str:
    """A migrated database with the benchmarks, and people in several roles."""
    postgres.ensure_database(TEMPLATE)
    engine = make_engine(postgres.url(TEMPLATE))
    prepare_database(engine)
    add_people(engine)
    engine.dispose()
    return TEMPLATE


@pytest.fixture
def engine(new_database: NewDatabase, api_template: str) -> Iterator[Engine]:
    with new_database(api_template) as engine:
        yield engine


@pytest.fixture
def served(engine: Engine) -> Iterator[Served]:
    with serving(engine) as served:
        yield served
