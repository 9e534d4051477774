"""Tokens, login links and the API, as commands and processes."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.system.cli.command import CommandLine
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("cli")


@contextmanager
def _api(vcfolio: CommandLine) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = vcfolio.start("api", VCFOLIO_API_PORT=str(port))
    try:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: process.poll() is not None or _ready(url))
        assert process.poll() is None, process.communicate()
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        _, notes = process.communicate(timeout=60)
    assert process.returncode == 0, notes


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_token_opens_the_api_until_it_is_revoked_and_a_link_the_page_once(vcfolio: CommandLine) -> None:
    secret, note = vcfolio.call("token", "add", "nightly", "--scope", "read")
    secret = secret.strip()
    assert "not shown again" in note
    (token,) = [one for one in vcfolio.json("token", "list", "--json") if one["name"] == "nightly"]
    assert (token["user"], token["scopes"], token["revokedAt"]) == ("local", ["read"], None)
    assert secret not in vcfolio.call("token", "list")[0]
    with _api(vcfolio) as url, httpx.Client(base_url=url, trust_env=False) as client:
        bearer = {"Authorization": f"Bearer {secret}"}
        assert [fund["name"] for fund in client.get("/api/funds", headers=bearer).json()].count("Example Fund") == 1
        vcfolio.call("token", "revoke", token["tokenId"])
        assert client.get("/api/funds", headers=bearer).status_code == 401
        link, _ = vcfolio.call("login", VCFOLIO_PAGE_URL=url)
        assert link.startswith(f"{url}/login/")
        assert [client.post(link.strip()).status_code for _ in range(2)] == [303, 410]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("token", "add", "x", "--scope", "all"), "--scope = 'all': must be one of read, request, admin"),
        (("token", "add", "x", "--user", "nobody"), "user = 'nobody': no user has this name"),
        (("token", "add", "x", "--days", "0"), "--days = 0.0: must be above 0 and at most 366"),
        (("token", "add", "x", "--days", "nan"), "--days = nan: must be above 0 and at most 366"),
        (("token", "add", " "), "token name = '': must have 1 to 200 printable characters"),
        (("token", "revoke", "x"), "TOKEN_ID = 'x': must be a UUID"),
        (("token", "revoke", "00000000-0000-4000-8000-00000000dead"), "no token that is not revoked has this id"),
        (("login", "nobody"), "user = 'nobody': no user has this name"),
    ],
)
def test_what_cannot_be_is_refused_by_name(vcfolio: CommandLine, arguments: tuple[str, ...], problem: str) -> None:
    before = vcfolio.json("token", "list", "--json")
    output, notes = vcfolio.call(*arguments, code=2)
    assert output == ""
    assert problem in notes
    assert vcfolio.json("token", "list", "--json") == before


def test_a_port_in_use_is_named(vcfolio: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        _, notes = vcfolio.call("api", VCFOLIO_API_PORT=port, code=2)
    assert f"VCFOLIO_API_PORT = {port}: is in use by another program" in notes
