from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from db.bootstrap import prepare_database
from tests.conftest import MakeTemplate, NewDatabase
from tests.db.api.serving import Served, add_people, serving

TEMPLATE = "api_template"


@pytest.fixture(scope="session")
def api_template(make_template: MakeTemplate) -> str:
    """A migrated database with the benchmarks, and people in several roles."""

    def fill(engine: Engine) -> str:
        prepare_database(engine)
        add_people(engine)
        return ""

    make_template(TEMPLATE, fill)
    return TEMPLATE


@pytest.fixture
def engine(new_database: NewDatabase, api_template: str) -> Iterator[Engine]:
    with new_database(api_template) as engine:
        yield engine


@pytest.fixture
def served(engine: Engine) -> Iterator[Served]:
    with serving(engine) as served:
        yield served
