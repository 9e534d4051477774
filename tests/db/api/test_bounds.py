"""What costs its sender little costs the API little: slow and large requests, before a login and after."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from api import connections, security
from tests.db.api.serving import Served
from tests.small_request import SMALL

API = "/api/optimization"
HALF_A_HEAD = b"POST /api/optimization/request HTTP/1.1\r\nHost: localhost\r\n"
PATIENCE_S = 60


def connected(served: Served) -> socket.socket:
    address = urlsplit(served.url)
    assert address.hostname is not None
    return socket.create_connection((address.hostname, address.port or 80), timeout=PATIENCE_S)


def heard(stream: socket.socket) -> bytes:
    """All until the other side closes."""
    answer = b""
    while piece := stream.recv(65_536):
        answer += piece
    return answer


@pytest.mark.parametrize("begun", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_a_head_that_does_not_come_whole_ends_the_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    with connected(served) as stream:
        stream.sendall(begun)
        assert heard(stream) == b""


def test_a_second_head_on_the_same_connection_has_its_deadline_too(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    with connected(served) as stream:
        stream.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + HALF_A_HEAD)
        answer = heard(stream)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 200")


def test_half_a_body_ends_at_its_deadline(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_S", 0.2)
    with connected(served) as stream:
        stream.sendall(HALF_A_HEAD + b"Content-Length: 1000\r\n\r\n{")
        assert heard(stream).startswith(b"HTTP/1.1 408")


def test_a_connection_beyond_the_limit_is_closed_unheard_and_the_others_are_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    with served.client() as client:
        assert client.get("/health").status_code == 200
        with connected(served), connected(served), connected(served) as beyond:
            assert heard(beyond) == b""
            assert client.get("/health").status_code == 200


def test_who_is_not_known_sends_a_small_body_only(served: Served) -> None:
    """The rest is not waited for: what is refused is refused after the first piece."""
    begun = HALF_A_HEAD + b"Content-Type: application/json\r\nContent-Length: 900000\r\n"
    for credential in (b"", b"Authorization: Bearer vcf_guessed\r\n", b"Cookie: vcfolio_session=guessed\r\n"):
        with connected(served) as stream:
            stream.sendall(begun + credential + b"\r\n" + b" " * 20_000)
            answer = heard(stream)
        assert answer.startswith(b"HTTP/1.1 401"), credential
        assert b"at most 16,384 bytes" in answer


def test_who_is_known_sends_a_whole_megabyte(served: Served) -> None:
    large = json.dumps(SMALL) + " " * 900_000
    headers = {"Content-Type": "application/json"}
    with served.client(served.token()) as client:
        assert client.post(f"{API}/request", content=large, headers=headers).status_code == 202
        over = client.post(f"{API}/request", content=large + " " * 200_000, headers=headers)
        assert (over.status_code, over.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("changes", "field", "most"),
    [
        ({"buckets": {"sectors": [f"S{k}" for k in range(40_000)]}}, "buckets.sectors", "500"),
        ({"buckets": [{"stage": "Seed", "sector": f"S{k}"} for k in range(10_000)]}, "buckets", "2,000"),
        ({"sectorBounds": {f"S{k}": {} for k in range(40_000)}}, "sectorBounds", "2,000"),
    ],
)
def test_a_request_of_too_many_entries_is_refused_in_one_sentence(
    served: Served, changes: dict[str, object], field: str, most: str
) -> None:
    with served.client(served.token()) as client:
        answer = client.post(f"{API}/request", json=SMALL | changes)
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert (problem["field"], problem["rule"]) == (field, f"must have at most {most} entries")


def test_an_answer_to_many_faults_is_small(served: Served) -> None:
    rows = [[2.0] * 300 for _ in range(300)]
    asked = SMALL | {"scenarioGenConfig": {"regimeConfig": {"sectorCorrelations": rows}}, "buckets": ["x"] * 2_000}
    with served.client(served.token()) as client:
        answer = client.post(f"{API}/request", json=asked)
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) <= 100
    assert len(answer.content) < 100_000
