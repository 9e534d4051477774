"""By which names the API and the page answer, and what the page's cookie is good for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from db.settings import Settings
from tests.db.api.serving import Served, serving

PORT = 8321
OWN = f"vcfolio.localhost:{PORT}"


@pytest.fixture
def by_default(engine: Engine) -> Iterator[Served]:
    """As `vcfolio api` serves without any setting, at another port."""
    with serving(engine, Settings(home="/nowhere")) as served:
        yield served


def test_the_page_has_a_name_of_its_own_and_is_led_to_it(by_default: Served) -> None:
    """At 127.0.0.1 the browser would send its cookie to every other port, and so to every other program."""
    with by_default.client() as client:
        for host in ("127.0.0.1:8321", "localhost:8321", "[::1]:8321"):
            answer = client.get("/login/abc?x=1", headers={"Host": host})
            assert (answer.status_code, answer.headers["location"]) == (307, f"http://{OWN}/login/abc?x=1")
            spent = client.post("/login/abc", headers={"Host": host})
            assert (spent.status_code, spent.json()["code"]) == (400, "unknown_host")
            assert client.get("/health", headers={"Host": host}).status_code == 200
            assert client.get("/api/funds", headers={"Host": host}).status_code == 401
        own = client.get("/login", headers={"Host": OWN})
        assert own.status_code == 200


def test_the_cookie_is_set_for_the_pages_name_alone(by_default: Served) -> None:
    with by_default.client() as client:
        path = by_default.login_link().removeprefix(by_default.url)
        answer = client.post(path, headers={"Host": OWN, "Origin": f"http://{OWN}"})
    assert answer.status_code == 303
    assert "domain" not in answer.headers["set-cookie"].lower()
    assert "secure" not in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "host", ["rebound.example", "vcfolio.localhost.example", "", "a b", "[::1", "127.0.0.1.example:8321"]
)
def test_a_name_of_elsewhere_that_leads_here_is_refused(by_default: Served, host: str) -> None:
    with by_default.client(by_default.token()) as client:
        for path in ("/", "/login", "/health", "/api/funds", "/static/vcfolio.js", "/nowhere"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == 400, (path, answer.text)


def test_names_and_the_public_address_are_settings(engine: Engine) -> None:
    """Behind a proxy: `Secure` follows the address that people have, and not that of the last hop."""
    settings = Settings(home="/nowhere", page_url="https://funds.example/", api_names="api, other.example")
    with serving(engine, settings) as served, served.client() as client:
        for host, status in (
            ("api:8321", 200),
            ("other.example", 200),
            ("funds.example", 200),
            ("10.0.0.7", 200),
            ("x", 400),
        ):
            assert client.get("/health", headers={"Host": host}).status_code == status, host
        path = served.login_link().removeprefix(served.url)
        passed_on = {"Host": "127.0.0.1:8321", "Origin": "https://funds.example", "Sec-Fetch-Site": "same-origin"}
        answer = client.post(path, headers=passed_on)
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
