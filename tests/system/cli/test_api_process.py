"""The API as a process, with the tokens and links that the command line makes for it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.command_line import CommandLine, CommandLineInProcess
from tests.waiting import eventually

pytestmark = pytest.mark.xdist_group("cli")


@contextmanager
def _api(processes: CommandLine) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = processes.start("api", VCFOLIO_API_PORT=str(port))
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


def test_a_token_opens_the_api_until_it_is_revoked_and_a_link_the_page_once(
    processes: CommandLine, vcfolio: CommandLineInProcess
) -> None:
    secret, note = vcfolio.call("token", "add", "nightly", "--scope", "read")
    secret = secret.strip()
    assert "shown only once" in note
    (token,) = [one for one in vcfolio.json("token", "list", "--json") if one["name"] == "nightly"]
    assert (token["user"], token["scopes"], token["revokedAt"]) == ("local", ["read"], None)
    assert secret not in vcfolio.call("token", "list")[0]
    with _api(processes) as url, httpx.Client(base_url=url, trust_env=False) as client:
        bearer = {"Authorization": f"Bearer {secret}"}
        assert [fund["name"] for fund in client.get("/api/funds", headers=bearer).json()].count("Example Fund") == 1
        vcfolio.call("token", "revoke", token["tokenId"])
        assert client.get("/api/funds", headers=bearer).status_code == 401
        port = url.rpartition(":")[2]
        link, _ = vcfolio.call("login", VCFOLIO_API_PORT=port)
        own = f"vcfolio.localhost:{port}"
        assert link.startswith(f"http://{own}/login/")
        path = link.strip().removeprefix(f"http://{own}")
        assert [client.post(path, headers={"Host": own}).status_code for _ in range(2)] == [303, 410]


def test_a_port_in_use_is_named(processes: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        _, notes = processes.call("api", VCFOLIO_API_PORT=port, code=2)
    assert f"VCFOLIO_API_PORT = {port}: is in use by another program" in notes
