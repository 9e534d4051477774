"""The API held against what its OpenAPI document promises: by requests that it allows, and by ones that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import allow_header_conformance, positive_data_acceptance

from api.app import create_app
from core.session_states import SessionStatus
from db.engine import make_engine, transaction
from db.settings import Settings
from db.tables.access import Scope
from tests.conftest import NewDatabase
from tests.db.api.serving import serving
from tests.db.store.examples import session_at

EXAMPLES = 12
"""A route and kind of data. Always the same ones, so that a failure is one of the change that is tested."""

# The document does not depend on the database; nothing connects to this one.
_document = create_app(make_engine("postgresql://127.0.0.1:1/none"), Settings(home="/nowhere")).openapi()
schema = schemathesis.openapi.from_dict(_document)


@pytest.fixture(scope="module")
def api(new_database: NewDatabase, api_template: str) -> Iterator[tuple[str, str, str]]:
    """Where it is served, a token with all scopes, and a session that has ended."""
    with new_database(api_template) as engine, serving(engine) as served:
        with transaction(engine) as conn:
            ended = session_at(conn, SessionStatus.FAILED).session_id
        yield served.url, served.token("local", *Scope), str(ended)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_the_api_keeps_what_its_document_promises(case: Any, api: tuple[str, str, str]) -> None:
    url, secret, ended = api
    if "session_id" in case.path_parameters and case.meta.generation.mode is GenerationMode.POSITIVE:
        case.path_parameters["session_id"] = ended  # one that there is
    case.call_and_validate(
        base_url=url,
        headers={"Authorization": f"Bearer {secret}"},
        excluded_checks=[
            positive_data_acceptance,  # a schema cannot say that a minimum is below its maximum
            *(
                [allow_header_conformance] if case.path.endswith("/frontier") else []
            ),  # two routes: Allow names one's methods
        ],
    )
