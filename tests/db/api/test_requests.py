from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text

from api.security import MAX_BODY_BYTES
from core.session_states import SessionStatus
from db.engine import transaction
from db.sessions import load_session
from db.settings import Settings
from tests.db.api.serving import Served, serving
from tests.db.store.examples import bridge_session, session_at
from tests.small_request import SMALL

API = "/api/optimization"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(served: Served) -> Any:
    with served.client(served.token()) as client:
        yield client


def _sessions(engine: Engine) -> int:
    with transaction(engine) as conn:
        return int(conn.scalar(text("SELECT count(*) FROM optimization_sessions")) or 0)


def test_a_request_is_stored_for_the_bridge_with_who_asked(client: httpx.Client, served: Served) -> None:
    answer = client.post(f"{API}/request", json=SMALL)
    assert answer.status_code == 202
    document = answer.json()
    assert (document["status"], document["created"]) == ("REQUESTED", True)
    assert answer.headers["location"] == document["links"]["status"] == f"{API}/status/{document['sessionId']}"
    with transaction(served.engine) as conn:
        session = load_session(conn, UUID(document["sessionId"]))
        job = conn.execute(text("SELECT status FROM job_outbox")).scalar_one()
        entry = conn.execute(text("SELECT credential, action FROM audit_entries")).one()
    assert (session.driver, session.request["totalFundSize"], job) == ("bridge", SMALL["totalFundSize"], "pending")
    assert tuple(entry) == ("token test", "session_requested")
    status = client.get(document["links"]["status"]).json()
    assert (status["status"], status["queuePosition"], status["createdBy"]) == ("REQUESTED", 1, "local")


def test_every_wrong_field_is_listed_with_its_value_and_rule_and_nothing_is_stored(
    client: httpx.Client, served: Served
) -> None:
    crossed = {"AI": {"min": 0.5, "max": 0.2}}
    wrong = {**SMALL, "cvarLimit": 1.5, "maxLossProbability": True, "sectorBounds": crossed, "x": 1}
    answer = client.post(f"{API}/request", json=wrong)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["title"], problem["code"], problem["type"]) == (problem["title"], "bad_input", "about:blank")
    found = {one["field"]: (one["value"], one["rule"]) for one in problem["problems"]}
    assert found.keys() == {"cvarLimit", "maxLossProbability", "sectorBounds.AI.min", "x"}
    assert found["cvarLimit"] == (1.5, "must be at most 1")
    assert found["maxLossProbability"] == (True, "must be a number")
    assert _sessions(served.engine) == 0


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "bad_json"),
        (b"", JSON, 400, "bad_json"),
        (b"\xff\xfe{}", JSON, 400, "bad_json"),
        (b'{"cvarLimit": NaN}', JSON, 422, "bad_input"),
        (b'{"cvarLimit": 0.3, "cvarLimit": 0.4}', JSON, 422, "bad_input"),
        (b"[" * 5000, JSON, 422, "bad_input"),
        (b'{"totalFundSize": ' + b"9" * 5000 + b"}", JSON, 422, "bad_input"),
        (b"[]", JSON, 422, "bad_input"),
        (b"null", JSON, 422, "bad_input"),
        (json.dumps(SMALL).encode(), {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (json.dumps(SMALL).encode(), {}, 415, "unsupported_media_type"),
        (b" " * (MAX_BODY_BYTES + 1), JSON, 413, "too_large"),
    ],
)
def test_a_body_that_is_no_request_is_refused_by_its_kind(
    client: httpx.Client, served: Served, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post(f"{API}/request", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert _sessions(served.engine) == 0


def test_a_body_too_large_is_refused_though_nobody_said_how_long_it_is(client: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(MAX_BODY_BYTES // 1024 + 2):
            yield b" " * 1024

    assert client.post(f"{API}/request", content=endless(), headers=JSON).status_code == 413


def test_a_fund_of_others_and_one_that_there_is_not_look_alike(client: httpx.Client) -> None:
    unknown = client.post(f"{API}/request", json={**SMALL, "fundId": "00000000-0000-4000-8000-00000000dead"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


# Idempotency.


def test_a_key_gives_the_same_session_again_and_refuses_another_request(client: httpx.Client, served: Served) -> None:
    key = {"Idempotency-Key": "base case"}
    first, again = (client.post(f"{API}/request", json=SMALL, headers=key) for _ in range(2))
    assert (first.json()["created"], again.json()["created"]) == (True, False)
    assert first.json()["sessionId"] == again.json()["sessionId"]
    other = client.post(f"{API}/request", json={**SMALL, "cvarLimit": 0.5}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert first.json()["sessionId"] in other.json()["detail"]
    assert _sessions(served.engine) == 1


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    answer = client.post(f"{API}/request", json=SMALL, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "Idempotency-Key")


def test_twenty_at_once_with_one_key_are_one_session(served: Served) -> None:
    secret = served.token()
    together = Barrier(20)

    def ask(_: int) -> str:
        with served.client(secret) as client:
            together.wait(60)
            answer = client.post(f"{API}/request", json=SMALL, headers={"Idempotency-Key": "once"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["sessionId"])

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(ask, range(20)))) == 1
    assert _sessions(served.engine) == 1


def test_when_as_many_wait_as_may_the_next_is_told_when_to_come_again(engine: Engine) -> None:
    settings = Settings(home="/nowhere", max_waiting_sessions=1, retry_after_s=7)
    with serving(engine, settings) as served, served.client(served.token()) as client:
        assert client.post(f"{API}/request", json=SMALL).status_code == 202
        refused = client.post(f"{API}/request", json=SMALL)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_waiting")
    assert refused.headers["retry-after"] == "7"
    assert _sessions(engine) == 1


# Ending.


def test_a_cancel_ends_the_session_once_with_its_reason(client: httpx.Client, served: Served) -> None:
    session_id = client.post(f"{API}/request", json=SMALL).json()["sessionId"]
    cancel = f"{API}/sessions/{session_id}/cancel"
    answer = client.post(cancel, json={"reason": "a typing error"}).json()
    assert (answer["status"], answer["errorCode"], answer["errorReason"]) == ("FAILED", "cancelled", "a typing error")
    again = client.post(cancel)
    assert (again.status_code, again.json()["code"]) == (409, "ended")
    result = client.get(f"{API}/result/{session_id}")
    assert (result.status_code, result.json()["code"]) == (409, "not_completed")
    assert "FAILED (cancelled: a typing error)" in result.json()["detail"]


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": "x" * 501}, {"reason": 5}, {"why": "x"}])
def test_a_cancel_without_a_proper_reason_changes_nothing(client: httpx.Client, served: Served, body: Any) -> None:
    session_id = client.post(f"{API}/request", json=SMALL).json()["sessionId"]
    answer = client.post(f"{API}/sessions/{session_id}/cancel", json=body)
    assert answer.status_code == 422
    assert client.get(f"{API}/status/{session_id}").json()["status"] == "REQUESTED"


# Lists.


def test_the_list_is_read_page_by_page(client: httpx.Client, served: Served) -> None:
    with transaction(served.engine) as conn:
        asked = {str(bridge_session(conn)) for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        parameters = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = client.get(f"{API}/sessions", params=parameters).json()
        seen += [one["sessionId"] for one in page["sessions"]]
        cursor = page["nextCursor"]
    assert cursor is None
    assert len(seen) == 5
    assert set(seen) == asked


@pytest.mark.parametrize(
    "cursor", ["x", "", "MjAyNg==", "MjAyNi0wMS0wMSAwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDE="]
)
def test_a_cursor_that_no_page_gave_is_refused(client: httpx.Client, cursor: str) -> None:
    answer = client.get(f"{API}/sessions", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "cursor")


def test_a_state_that_there_is_not_is_refused_by_name(client: httpx.Client) -> None:
    answer = client.get(f"{API}/sessions", params={"status": "DONE", "limit": "0"})
    assert {one["field"] for one in answer.json()["problems"]} == {"status", "limit"}


# What every answer carries.


def test_answers_protect_their_readers(client: httpx.Client) -> None:
    for path in ("/health", "/login", "/api/funds", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
        assert "server" not in headers


def test_an_unknown_path_and_a_wrong_method_are_problems_too(client: httpx.Client) -> None:
    for answer, status in ((client.get("/api/nowhere"), 404), (client.delete("/api/funds"), 405)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("status", list(SessionStatus))
def test_every_state_can_be_followed(client: httpx.Client, served: Served, status: SessionStatus) -> None:
    with transaction(served.engine) as conn:
        session_id = session_at(conn, status).session_id
    assert client.get(f"{API}/status/{session_id}").json()["status"] == status


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "\\u0000".rjust(3000, "x")])
def test_text_that_nothing_can_store_is_refused_and_shown_safely(
    client: httpx.Client, served: Served, text: str
) -> None:
    for body in (f'{{"{text}": 1}}', f'{{"calibrationVersion": "{text}"}}'):
        answer = client.post(f"{API}/request", content=body, headers=JSON)
        assert answer.status_code == 422
        assert answer.json()["problems"]
    with transaction(served.engine) as conn:
        waiting = bridge_session(conn)
    answer = client.post(f"{API}/sessions/{waiting}/cancel", content=f'{{"reason": "{text}"}}', headers=JSON)
    assert answer.status_code in (400, 422)
    assert client.get(f"{API}/status/{waiting}").json()["status"] == "REQUESTED"
