"""Another user may listen on our server's port while it is down: that server learns no password."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from core.own_files import write_own
from db.engine import make_engine
from deployments.local.embedded.cluster import SUPERUSER
from deployments.local.embedded.postgres import EmbeddedPostgres
from deployments.local.embedded.postgres_service import PostgresService
from deployments.local.embedded.postmaster import ServerFiles

ASKS_FOR_CLEARTEXT = b"R\x00\x00\x00\x08\x00\x00\x00\x03"
"""Source: PostgreSQL's documentation, Message Formats, AuthenticationCleartextPassword."""


@contextmanager
def asking_for_the_password(told: list[bytes]) -> Iterator[int]:
    """Speaks as much of the protocol as it takes to be told a password."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(2):
                with listening.accept()[0] as stream:
                    while (asked := stream.recv(65_536)) and asked[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
                        stream.sendall(b"N")  # neither TLS nor GSSAPI
                    stream.sendall(ASKS_FOR_CLEARTEXT)
                    told.append(stream.recv(65_536))

        server = threading.Thread(target=serve)
        server.start()
        yield listening.getsockname()[1]
        server.join()


def test_a_server_that_asks_for_the_password_itself_is_not_told(open_directory: Path) -> None:
    postgres = EmbeddedPostgres(open_directory / "home")
    files, told = ServerFiles(postgres.root), list[bytes]()
    write_own(files.password(SUPERUSER), b"secret")
    with asking_for_the_password(told) as port:
        write_own(files.port, str(port).encode())
        with pytest.raises(psycopg.OperationalError, match="authentication method"):
            psycopg.connect(PostgresService(files, None, {}).conninfo("postgres"))
        engine = make_engine(postgres.url("postgres"))
        with pytest.raises(OperationalError, match="authentication method"):
            engine.connect()
        engine.dispose()
    assert told == [b"", b""]
