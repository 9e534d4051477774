from __future__ import annotations

import socket

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from core.errors import BadInput, Unavailable
from db.engine import make_engine, transaction
from db.tables import job_outbox


def test_a_transaction_commits_at_its_end(engine: Engine) -> None:
    with transaction(engine) as conn:
        conn.execute(text("INSERT INTO users (name) VALUES ('Ada')"))
    with transaction(engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM users WHERE name = 'Ada'")) == 1


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    def add_and_raise() -> None:
        with transaction(engine) as conn:
            conn.execute(text("INSERT INTO users (name) VALUES ('Ada')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_raise()
    with transaction(engine) as conn:
        assert conn.scalar(text("SELECT count(*) FROM users WHERE name = 'Ada'")) == 0


def test_a_server_that_is_not_there_is_unavailable_and_its_password_unsaid() -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        engine = make_engine(f"postgresql://ada:secret@127.0.0.1:{port}/vcfolio")
        with (
            pytest.raises(Unavailable, match=rf"PostgreSQL at 127.0.0.1:{port}/vcfolio") as caught,
            transaction(engine),
        ):
            pass
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_a_lost_connection_is_unavailable_and_the_next_transaction_works(shared_engine: Engine) -> None:
    with pytest.raises(Unavailable), transaction(shared_engine) as conn:
        conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with transaction(shared_engine) as conn:
        assert conn.scalar(text("SELECT 1")) == 1


def test_a_connection_lost_between_transactions_goes_unnoticed(shared_engine: Engine) -> None:
    other = make_engine(shared_engine.url.render_as_string(hide_password=False))
    with transaction(shared_engine) as conn:
        backend = conn.scalar(text("SELECT pg_backend_pid()"))
    with transaction(other) as conn:
        # The second argument waits until the backend is gone.
        assert conn.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": backend})
    other.dispose()
    with transaction(shared_engine) as conn:
        assert conn.scalar(text("SELECT pg_backend_pid()")) != backend


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
def test_nothing_lasts_for_ever(shared_engine: Engine, setting: str) -> None:
    with transaction(shared_engine) as conn:
        limit = conn.scalar(text("SELECT setting::integer FROM pg_settings WHERE name = :name"), {"name": setting})
    assert limit > 0


def test_a_statement_past_its_time_limit_is_unavailable(shared_engine: Engine) -> None:
    with pytest.raises(Unavailable, match="statement timeout"), transaction(shared_engine) as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 10; SELECT pg_sleep(60)")


def test_a_lock_past_its_time_limit_is_unavailable(shared_engine: Engine) -> None:
    with transaction(shared_engine) as holder:
        holder.execute(text("LOCK TABLE users"))
        with pytest.raises(Unavailable, match="lock timeout"), transaction(shared_engine) as conn:
            conn.exec_driver_sql("SET LOCAL lock_timeout = 10; SELECT count(*) FROM users")


def test_a_broken_rule_is_not_taken_for_an_outage(shared_engine: Engine) -> None:
    with pytest.raises(IntegrityError), transaction(shared_engine) as conn:
        conn.execute(text("INSERT INTO users (name) VALUES ('')"))


def test_connections_say_who_they_are(shared_engine: Engine) -> None:
    with transaction(shared_engine) as conn:
        assert conn.scalar(text("SELECT current_setting('application_name')")) == "vcfolio"


@pytest.mark.parametrize("driver", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_spelling_of_a_postgres_url_will_do(driver: str) -> None:
    assert make_engine(f"{driver}://ada@localhost/vcfolio").url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["", "ada:secret", "sqlite:///file", "postgresql://ada:secret@localhost:port/x"])
def test_a_url_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="database URL") as caught:
        make_engine(url)
    assert "secret" not in str(caught.value)


def test_json_takes_no_numbers_that_json_has_not(shared_engine: Engine) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"), transaction(shared_engine) as conn:
        conn.execute(job_outbox.insert().values(payload={"value": float("nan")}))
