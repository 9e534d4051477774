"""Every route for everybody. A route that is added without a row here fails the last test of this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, text

from api.app import create_app
from core.session_states import SessionStatus
from db.access import create_token
from db.engine import transaction
from db.settings import Settings
from db.tables.access import Scope
from tests.conftest import NewDatabase
from tests.db.api.serving import DAY, Served, routes_of, serving
from tests.db.store.examples import matrix_key, session_at
from tests.small_request import SMALL

API = "/api/optimization"


@dataclass(frozen=True)
class Row:
    """What each may do with a route: the status of the answer. Nobody means no credential, or one that is worthless.

    read_only: a member of the fund with the scope read alone. viewer: role viewer, scopes read and request. stranger:
    of another fund, with all scopes. admin: a member with all scopes.
    """

    method: str
    path: str
    nobody: int
    read_only: int
    viewer: int
    member: int
    stranger: int
    admin: int
    body: Any = None
    query: Mapping[str, str] | None = None


PUBLIC = [
    Row("GET", "/health", 200, 200, 200, 200, 200, 200),
    Row("GET", "/ready", 200, 200, 200, 200, 200, 200),
    Row("GET", "/login", 200, 200, 200, 200, 200, 200),
    Row("GET", "/login/{code}", 200, 200, 200, 200, 200, 200),
    Row("POST", "/login/{code}", 410, 410, 410, 410, 410, 410),  # a code that there is not
]
FUND = {"fundId": str(SMALL["fundId"])}
VARY = {"vary": "cvarLimit=0.5:0.9:3"}
ROWS = [
    *PUBLIC,
    Row("POST", f"{API}/request", 401, 403, 403, 202, 404, 202, body=SMALL),
    Row("GET", f"{API}/status/{{session_id}}", 401, 200, 200, 200, 404, 200),
    Row("GET", f"{API}/result/{{session_id}}", 401, 409, 409, 409, 404, 409),  # it has not ended
    Row("GET", f"{API}/sessions", 401, 200, 200, 200, 200, 200),
    Row("GET", f"{API}/sessions", 401, 200, 200, 200, 404, 200, query=FUND),
    Row("POST", f"{API}/sessions/{{session_id}}/cancel", 401, 403, 403, 200, 404, 200),
    Row("GET", f"{API}/sessions/{{ended_id}}/events", 401, 200, 200, 200, 404, 200),
    Row("POST", f"{API}/sessions/{{session_id}}/frontier", 401, 403, 403, 409, 404, 409, query=VARY),
    Row("GET", f"{API}/sessions/{{session_id}}/frontier", 401, 404, 404, 404, 404, 404, query=VARY),
    Row("DELETE", f"{API}/sessions/{{session_id}}/frontier", 401, 403, 403, 404, 404, 404, query=VARY),
    Row("GET", "/api/funds", 401, 200, 200, 200, 200, 200),
    Row("GET", "/api/calibrations", 401, 200, 200, 200, 404, 200, query=FUND),
    Row("GET", f"/api/calibrations/{SMALL['calibrationVersion']}", 401, 200, 200, 200, 404, 200, query=FUND),
    Row("GET", "/api/matrices", 401, 200, 200, 200, 200, 200),
    Row("GET", "/api/matrices/{key}", 401, 200, 200, 200, 404, 200),
    Row("POST", "/api/matrices/{key}/invalidate", 401, 403, 403, 403, 404, 204),
    Row("GET", "/api/audit", 401, 403, 403, 403, 200, 200),
]
WHO = ["nobody", "read_only", "viewer", "member", "stranger", "admin"]
ALL = tuple(Scope)


@pytest.fixture(scope="module")
def people(new_database: NewDatabase, api_template: str) -> Iterator[tuple[Served, dict[str, str | None]]]:
    with new_database(api_template) as engine, serving(engine) as served:
        yield (
            served,
            {
                "nobody": None,
                "read_only": served.token("mia", Scope.READ, name="read only"),
                "viewer": served.token("vera", Scope.READ, Scope.REQUEST),
                "member": served.token("mia", Scope.READ, Scope.REQUEST),
                "stranger": served.token("sten", *ALL),
                "admin": served.token("mia", *ALL, name="admin"),
            },
        )


def _filled(row: Row, engine: Engine) -> str:
    """The path, about a session and a matrix of its own, of the example fund."""
    with transaction(engine) as conn:
        waiting = session_at(conn, SessionStatus.MATRIX_GENERATING).session_id
        ended = session_at(conn, SessionStatus.FAILED).session_id
        name = uuid4()
        conn.execute(text("DELETE FROM scenario_matrices"))
        done = session_at(conn, SessionStatus.OPTIMIZING).session_id
        key = conn.scalar(text("SELECT matrix_key FROM optimization_sessions WHERE session_id = :id"), {"id": done})
    return row.path.format(session_id=waiting, ended_id=ended, key=key, code=name)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}{'?' if row.query else ''}")
def test_each_route_answers_each_kind_of_visitor_as_the_table_says(
    people: tuple[Served, dict[str, str | None]], row: Row, who: str
) -> None:
    served, tokens = people
    with served.client(tokens[who]) as client:
        answer = client.request(row.method, _filled(row, served.engine), json=row.body, params=row.query)
    assert answer.status_code == getattr(row, who), answer.text
    if answer.status_code >= 400 and row.path.startswith("/api/"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def test_every_route_has_its_row() -> None:
    app = create_app(None, Settings(home="/nowhere"))  # type: ignore[arg-type]  # nothing is asked of it
    here = ("/api/", "/login", "/health", "/ready")  # the page has a table of its own
    routes = {(method, path) for method, path in routes_of(app) if path.startswith(here)}
    rows = {(row.method, row.path.replace("{ended_id}", "{session_id}")) for row in ROWS}
    rows = {(m, "/api/calibrations/{version}" if "/calibrations/" in path else path) for m, path in rows}
    assert rows == routes


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Bearer vcf_nobody", "unknown, expired or revoked"),
        ("Bearer", "send a bearer token"),
        ("Basic bG9jYWw6", "send a bearer token"),
        (None, "send a bearer token"),
    ],
)
def test_a_worthless_credential_is_told_so(served: Served, header: str | None, why: str) -> None:
    with served.client() as client:
        answer = client.get("/api/funds", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="vcfolio"')
    assert why in answer.json()["detail"]


def test_a_token_stops_working_when_it_is_revoked_or_expires(served: Served) -> None:
    secret = served.token()
    with transaction(served.engine) as conn:
        _, short = create_token(conn, user_name="local", name="short", scopes=[Scope.READ], lifetime=timedelta(days=1))
    with served.client(secret) as first, served.client(short) as second:
        assert [client.get("/api/funds").status_code for client in (first, second)] == [200, 200]
        with transaction(served.engine) as conn:
            conn.execute(text("UPDATE access_tokens SET revoked_at = now() WHERE name = 'test'"))
            conn.execute(text("UPDATE access_tokens SET created_at = now() - interval '2 d' WHERE name = 'short'"))
            conn.execute(text("UPDATE access_tokens SET expires_at = now() WHERE name = 'short'"))
        assert [client.get("/api/funds").status_code for client in (first, second)] == [401, 401]


def test_a_member_who_leaves_sees_nothing_any_more(served: Served) -> None:
    with transaction(served.engine) as conn:
        session_id = session_at(conn, SessionStatus.FAILED).session_id
    with served.client(served.token("vera")) as client:
        assert client.get(f"{API}/status/{session_id}").status_code == 200
        with transaction(served.engine) as conn:
            conn.execute(text("DELETE FROM fund_members m USING users u WHERE u.id = m.user_id AND u.name = 'vera'"))
        assert client.get(f"{API}/status/{session_id}").status_code == 404
        assert client.get(f"{API}/sessions").json()["sessions"] == []


# The cookie.


def _csrf(served: Served, client: httpx.Client) -> dict[str, str]:
    return {"X-CSRF-Token": served.csrf_token(client)}


def test_the_cookie_reads_and_asks_but_a_change_must_carry_the_pages_token(served: Served) -> None:
    with served.logged_in("mia") as client:
        assert client.get("/api/funds").status_code == 200
        refused = client.post(f"{API}/request", json=SMALL)
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
        assert client.post(f"{API}/request", json=SMALL, headers={"X-CSRF-Token": "0" * 64}).status_code == 403
        assert client.post(f"{API}/request", json=SMALL, headers=_csrf(served, client)).status_code == 202
        assert client.get("/api/audit").status_code == 403


@pytest.mark.parametrize(
    "foreign", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_a_change_from_elsewhere_is_refused_whatever_it_carries(served: Served, foreign: dict[str, str]) -> None:
    with served.logged_in() as client:
        answer = client.post(f"{API}/request", json=SMALL, headers=_csrf(served, client) | foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
        own = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
        assert client.post(f"{API}/request", json=SMALL, headers=_csrf(served, client) | own).status_code == 202


def test_the_cookie_is_for_the_browser_alone_and_ends_by_logging_out(served: Served) -> None:
    with served.logged_in() as client:
        cookie = next(iter(client.cookies.jar))
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "lax"
        assert client.post("/logout").status_code == 403
        secret = client.cookies["vcfolio_session"]
        assert client.post("/logout", data={"csrf_token": served.csrf_token(client)}).status_code == 303
        assert client.get("/api/funds", headers={"Cookie": f"vcfolio_session={secret}"}).status_code == 401


def test_a_login_link_is_spent_by_its_button_and_not_by_a_preview(served: Served) -> None:
    from db.access import create_login_link  # noqa: PLC0415

    with transaction(served.engine) as conn:
        code = create_login_link(conn, "local", DAY)
    with served.client() as client:
        for _ in range(3):
            assert client.get(f"/login/{code}").status_code == 200
        first = client.post(f"/login/{code}")
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert client.post(f"/login/{code}").status_code == 410


def test_an_unknown_matrix_and_one_of_others_look_alike(served: Served) -> None:
    with served.client(served.token("sten")) as client:
        answers = [client.get(f"/api/matrices/{matrix_key(name)}") for name in ("unknown", "example")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
