from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

import pytest
from sqlalchemy import Engine

from core.session_states import SessionStatus
from db.audit import Actor
from db.bootstrap import prepare_database
from db.engine import transaction
from db.funds import EXAMPLE_FUND_ID, add_fund, add_member, local_user_id
from db.requests import cancel_session
from db.tables.owners import FundRole
from tests.conftest import MakeTemplate, NewDatabase
from tests.db.page.carried_out import RELAXED, carried_out
from tests.db.page.visiting import Site, serving

TEMPLATE = "page_template"


@dataclass(frozen=True)
class Told:
    """Sessions by what has become of them."""

    requested: UUID
    simulating: UUID
    optimizing: UUID
    validating: UUID
    failed: UUID
    cancelled: UUID
    completed: UUID
    relaxed: UUID


@pytest.fixture(scope="session")
def told(make_template: MakeTemplate) -> Told:
    """Made once, in the database that the others are cloned from."""
    ids = json.loads(make_template(TEMPLATE, lambda engine: json.dumps(asdict(_told(engine)), default=str)))
    return Told(**{name: UUID(session_id) for name, session_id in ids.items()})


def _told(engine: Engine) -> Told:
    prepare_database(engine)
    with transaction(engine) as conn:
        add_member(conn, EXAMPLE_FUND_ID, "vera", FundRole.VIEWER)
        add_member(conn, add_fund(conn, "Other Fund", local_user_id(conn)).id, "sten", FundRole.OWNER)
    cancelled = carried_out(engine, SessionStatus.MATRIX_GENERATING)
    with transaction(engine) as conn:
        assert cancel_session(conn, cancelled, "no longer needed", Actor(local_user_id(conn), "test"))
    return Told(
        requested=carried_out(engine, SessionStatus.REQUESTED),
        simulating=carried_out(engine, SessionStatus.MATRIX_GENERATING),
        optimizing=carried_out(engine, SessionStatus.OPTIMIZING),
        validating=carried_out(engine, SessionStatus.VALIDATING),
        failed=carried_out(engine, SessionStatus.FAILED),
        cancelled=cancelled,
        relaxed=carried_out(engine, **RELAXED),
        completed=carried_out(engine, bucketMaxWeight=0.6, totalFundSize=50_000_000),
    )


@pytest.fixture
def engine(new_database: NewDatabase, told: Told) -> Iterator[Engine]:
    with new_database(TEMPLATE) as engine:
        yield engine


@pytest.fixture
def site(engine: Engine) -> Iterator[Site]:
    with serving(engine) as site:
        yield site


@pytest.fixture(scope="module")
def reading(new_database: NewDatabase, told: Told) -> Iterator[Site]:
    """For tests that change nothing."""
    with new_database(TEMPLATE) as engine, serving(engine) as site:
        yield site
