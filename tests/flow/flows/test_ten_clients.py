"""Ten clients of the API at the same time, with flows that carry their sessions out: no answer fails, none is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from db.engine import transaction
from tests.db.api.serving import Served, serving
from tests.flow.flows.product import Product
from tests.small_request import SMALL
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("flows")

CLIENTS = 10
API = "/api/optimization"


@contextmanager
def _carried_out(product: Product) -> Iterator[None]:
    """Every session that waits is carried out, two at once, as a bridge and a worker would."""
    ended = threading.Event()

    def carry_out() -> None:
        while not ended.is_set():
            with transaction(product.engine) as conn:
                claimed = conn.execute(
                    text("""
                        UPDATE job_outbox SET status = 'enqueued', enqueued_at = now() WHERE job_id IN (
                          SELECT job_id FROM job_outbox WHERE status = 'pending' LIMIT 1 FOR UPDATE SKIP LOCKED
                        ) RETURNING session_id, epoch
                    """)
                ).one_or_none()
            if claimed is None:
                ended.wait(0.05)
            else:
                product.start(claimed.session_id, claimed.epoch)

    # Prefect's settings are in the context; a context serves one thread at a time.
    workers = [threading.Thread(target=copy_context().run, args=(carry_out,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        ended.set()
        for worker in workers:
            worker.join()


def test_ten_clients_at_once_lose_nothing(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCFOLIO_MAX_GENERATIONS_PER_MINUTE", "1000")
    together = Barrier(CLIENTS)
    with serving(product.engine) as served, _carried_out(product), ThreadPoolExecutor(CLIENTS) as pool:
        secret = served.token()
        results = list(
            pool.map(lambda number: _client(served, secret, product.taxonomy, number, together), range(CLIENTS))
        )
    assert {result["status"] for result in results} == {"COMPLETED"}
    assert len({result["sessionId"] for result in results}) == CLIENTS
    assert len({result["matrixKey"] for result in results}) == 2
    assert sum(result["matrixCache"] == "generated" for result in results) == 2


def _client(served: Served, secret: str, taxonomy: str, number: int, together: Barrier) -> dict[str, Any]:
    """Asks, twice with one key as after a lost answer, looks until it is done, and reads the result."""
    request = {**SMALL, "taxonomyVersion": f"{taxonomy[:50]} {number % 2}", "cvarLimit": 0.8 + number / 100}
    with served.client(secret) as client:
        together.wait(60)
        asked = [
            client.post(f"{API}/request", json=request, headers={"Idempotency-Key": str(number)}) for _ in range(2)
        ]
        assert [answer.status_code for answer in asked] == [202, 202]
        session_id, again = (answer.json()["sessionId"] for answer in asked)
        assert again == session_id

        def ended() -> bool:
            status = client.get(f"{API}/status/{session_id}")
            assert status.status_code == 200, status.text
            return status.json()["status"] in ("COMPLETED", "FAILED")

        assert eventually(ended, 240)
        answer = client.get(f"{API}/result/{session_id}")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result
