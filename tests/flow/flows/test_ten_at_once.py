"""Ten requests at the same time, again and again, half of them for one matrix: each matrix is made once, all complete.

Two rounds; `--rounds 100` for more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier

import pytest

from core.canonical import canonical_json
from core.session_states import SessionStatus
from db.session_rows import SessionRow
from tests.flow.flows.product import Product

pytestmark = pytest.mark.xdist_group("flows")

AT_ONCE = 10
OF_ONE_KEY = 5


def test_ten_requests_at_once_share_what_they_can_and_all_complete(
    product: Product, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("VCFOLIO_MAX_GENERATIONS_PER_MINUTE", "1000")
    for number in range(request.config.getoption("--rounds")):
        sessions = _round(product, number)
        assert {session.status for session in sessions} == {SessionStatus.COMPLETED}, number
        same, others = sessions[:OF_ONE_KEY], sessions[OF_ONE_KEY:]
        keys = [same[0].matrix_key, *(session.matrix_key for session in others)]
        assert {session.matrix_key for session in same} == {keys[0]}
        assert len(set(keys)) == 1 + AT_ONCE - OF_ONE_KEY
        made = "SELECT matrix_key, outcome FROM matrix_generations WHERE matrix_key = ANY (:keys)"
        assert sorted(product.sql(made, keys=keys)) == sorted((key, "complete") for key in keys), number
        assert sorted(session.matrix_origin for session in same) == ["generated", *["hit"] * (OF_ONE_KEY - 1)]
        assert {session.matrix_origin for session in others} == {"generated"}
        assert len({canonical_json(session.allocation) for session in same}) == 1
        assert {(session.epoch, session.rescues, session.unclassified_failures) for session in sessions} == {(0, 0, 0)}
        jobs = "SELECT session_id, status, epoch FROM job_outbox WHERE session_id = ANY (:ids)"
        ids = [session.session_id for session in sessions]
        assert sorted(product.sql(jobs, ids=ids)) == sorted((one, "enqueued", 0) for one in ids)


def _round(product: Product, number: int) -> list[SessionRow]:
    """All ten ask before any is carried out, and are carried out at the same time."""
    together = Barrier(AT_ONCE)

    def carry_out(place: int) -> SessionRow:
        together.wait(timeout=60)
        fence = product.ask(taxonomyVersion=f"{product.taxonomy[:40]} {number} {max(0, place - OF_ONE_KEY + 1)}")
        together.wait(timeout=60)
        assert product.run(fence).name == "Completed"
        return product.session(fence)

    # Prefect's settings are in the context; a context serves one thread at a time.
    contexts = [copy_context() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(contexts[place].run, carry_out, place) for place in range(AT_ONCE)]
        return [one.result() for one in running]
