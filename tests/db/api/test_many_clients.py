"""Ten clients at once, each asking, reading and cancelling: no answer fails, and nothing that was accepted is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import text

from db.engine import transaction
from tests.db.api.serving import Served
from tests.small_request import SMALL

API = "/api/optimization"
CLIENTS = 10
REQUESTS = 4


def test_ten_clients_at_once_lose_nothing_and_meet_no_failure(served: Served) -> None:
    """Each cancels the first of its sessions, so that some end while others come."""
    secret = served.token()
    together = Barrier(CLIENTS)

    def work(number: int) -> tuple[list[str], list[int]]:
        asked, statuses = [], []
        with served.client(secret) as client:
            together.wait(timeout=60)
            for turn in range(REQUESTS):
                key = {"Idempotency-Key": f"{number} {turn}"}
                answers = [client.post(f"{API}/request", json=SMALL, headers=key) for _ in range(2)]
                first, again = (answer.json()["sessionId"] for answer in answers)
                assert first == again
                asked.append(first)
                answers += [client.get(f"{API}/status/{first}"), client.get(f"{API}/sessions")]
                statuses += [answer.status_code for answer in answers]
            statuses.append(client.post(f"{API}/sessions/{asked[0]}/cancel").status_code)
        return asked, statuses

    with ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(work, range(CLIENTS)))
    assert {status for _, statuses in done for status in statuses} == {200, 202}
    accepted = {session for asked, _ in done for session in asked}
    assert len(accepted) == CLIENTS * REQUESTS
    with transaction(served.engine) as conn:
        stored = {str(row.session_id): row.status for row in conn.execute(text("SELECT * FROM optimization_sessions"))}
        waiting = conn.scalar(text("SELECT count(*) FROM job_outbox WHERE status = 'pending'"))
        audited = conn.scalar(text("SELECT count(*) FROM audit_entries WHERE action = 'session_requested'"))
    assert set(stored) == accepted
    assert sorted(stored.values()) == ["FAILED"] * CLIENTS + ["REQUESTED"] * (CLIENTS * (REQUESTS - 1))
    assert (waiting, audited) == (CLIENTS * (REQUESTS - 1), CLIENTS * REQUESTS)
