"""Who reaches our Prefect server's port without its secret can do nothing there: whoever can, runs commands."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import httpx
import pytest
import websockets

from deployments.local.health import access_finding
from deployments.local.prefect_server import PrefectService
from tests import servers

pytestmark = pytest.mark.xdist_group("flows")

PUBLIC = {"/health", "/ready"}
"""Prefect's own answers to load balancers: whether it lives."""
UNKNOWN = "00000000-0000-4000-8000-000000000000"
WRONG = ("vcfolio", "guessed")


def known(prefect_service: PrefectService) -> tuple[str, str]:
    user, _, password = (prefect_service.api.auth_string or "").partition(":")
    return user, password


def test_no_route_of_the_api_answers_without_the_secret(prefect_service: PrefectService) -> None:
    url = prefect_service.api.url
    with httpx.Client(trust_env=False, timeout=60) as client:
        document = client.get(f"{url}/openapi.json", auth=known(prefect_service)).raise_for_status().json()
        routes = [(method, path) for path, methods in document["paths"].items() for method in methods]
        assert len(routes) > 150
        for method, path in routes:
            if path in PUBLIC:
                continue
            address = url + "/".join(UNKNOWN if part.startswith("{") else part for part in path.split("/"))
            assert client.request(method, address).status_code == 401, (method, path)
            assert client.request(method, address, auth=WRONG).status_code == 401, (method, path)


@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled"])
def test_no_stream_opens_without_the_secret(prefect_service: PrefectService, path: str) -> None:
    url = prefect_service.api.url.replace("http://", "ws://") + path

    async def hear(token: str) -> str:
        async with websockets.connect(url, subprotocols=[websockets.Subprotocol("prefect")], proxy=None) as stream:
            await stream.send(f'{{"type": "auth", "token": "{token}"}}')
            return str(await stream.recv())

    with pytest.raises(websockets.ConnectionClosed):
        asyncio.run(hear("vcfolio:guessed"))
    assert "auth_success" in asyncio.run(hear(prefect_service.api.auth_string or ""))


def test_a_page_of_elsewhere_may_not_ask(prefect_service: PrefectService) -> None:
    url, asks = prefect_service.api.url, {"Access-Control-Request-Method": "POST"}
    own = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    with httpx.Client(trust_env=False) as client:
        foreign = client.options(f"{url}/flows/", headers=asks | {"Origin": "https://elsewhere.example"})
        assert foreign.status_code == 400
        assert "access-control-allow-origin" not in foreign.headers
        assert client.options(f"{url}/flows/", headers=asks | {"Origin": own}).status_code == 200
        simple = client.get(f"{url}/health", headers={"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in simple.headers


def test_a_name_of_elsewhere_that_leads_here_is_refused(prefect_service: PrefectService) -> None:
    """DNS rebinding: the browser takes the page of that name and this server for one origin."""
    url = prefect_service.api.url
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/health", headers={"Host": "rebound.example"}).status_code == 400
        assert client.get(f"{url}/health", headers={"Host": f"localhost:{urlsplit(url).port}"}).status_code == 200


def test_the_secret_is_for_this_user_alone(prefect_service: PrefectService) -> None:
    secret = servers.home() / "prefect" / "auth-string"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_text() == prefect_service.api.auth_string
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700


def test_prefects_page_is_filled_in_within_the_home_and_not_beside_prefects_code(
    prefect_service: PrefectService,
) -> None:
    """There the first user of an installation would decide what the others see, or that they see nothing."""
    page = prefect_service.api.url.removesuffix("/api")
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        shown = client.get(page, headers={"Accept": "text/html"})
    files = servers.home() / "prefect" / "page"
    assert shown.content in {(files / version / "index.html").read_bytes() for version in ("v1", "v2")}
    assert stat.S_IMODE(files.stat().st_mode) == 0o700


class LetsEverybodyIn(BaseHTTPRequestHandler):
    """Answers as a Prefect server without a secret does to the one question asked."""

    def do_POST(self) -> None:
        assert self.path == "/api/flows/filter"
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def open_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), LetsEverybodyIn) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


def test_doctor_says_whether_a_server_lets_strangers_in(prefect_service: PrefectService) -> None:
    assert access_finding(prefect_service.api.url).fine
    with open_server() as url:
        finding = access_finding(url)
    assert not finding.fine
    assert not finding.vital
    assert "PREFECT_SERVER_API_AUTH_STRING" in finding.words
