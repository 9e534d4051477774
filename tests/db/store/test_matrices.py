from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from db import matrices, matrix_generations
from db.matrices import MatrixReference
from db.matrix_generations import AlreadyComplete, BeginOutcome, GaveUp, GenerationLimits, Started, Wait
from tests.db.store.examples import (
    UNLIMITED,
    begin,
    expire_generation_lease,
    matrix_key,
    payload,
    race,
    started,
    store_matrix,
)

KEY = matrix_key("one")


def _outcomes(conn: Connection) -> list[tuple[int, str | None]]:
    rows = conn.execute(
        text("SELECT generation, outcome FROM matrix_generations WHERE matrix_key = :k ORDER BY 1"), {"k": KEY}
    )
    return [(generation, outcome) for generation, outcome in rows]


def _row(conn: Connection) -> dict[str, object]:
    return dict(
        conn.execute(text("SELECT * FROM scenario_matrices WHERE matrix_key = :k"), {"k": KEY}).mappings().one()
    )


def _kinds(outcomes: list[BeginOutcome]) -> list[str]:
    return sorted(type(outcome).__name__ for outcome in outcomes)


@pytest.fixture
def committed(engine: Engine) -> Iterator[Connection]:
    """A second connection to the test's own database, for what must be seen by others."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        yield conn


def test_a_complete_matrix_comes_back_as_it_was_stored(connection: Connection) -> None:
    content = bytes(range(256)) * 100
    generation = store_matrix(connection, KEY, content)
    assert generation.generation == 1
    reference = matrices.read_reference(connection, KEY)
    assert reference == MatrixReference(KEY, 1, payload(content).payload_sha256)
    stored = matrices.load_payload(connection, KEY)
    assert stored is not None
    assert (stored.reference, stored.payload) == (reference, payload(content))
    assert stored.key_json == {"scenario_count": 2}
    assert _outcomes(connection) == [(1, "complete")]


def test_a_matrix_in_the_making_and_a_failed_one_have_nothing_to_read(connection: Connection) -> None:
    assert matrices.read_reference(connection, KEY) is matrices.load_payload(connection, KEY) is None
    generation = started(connection, KEY)
    assert matrices.read_reference(connection, KEY) is matrices.load_payload(connection, KEY) is None
    assert matrix_generations.fail_generation(connection, generation, "because")
    assert matrices.read_reference(connection, KEY) is matrices.load_payload(connection, KEY) is None
    assert (_row(connection)["status"], _row(connection)["error_reason"]) == ("failed", "because")


def test_of_many_at_once_one_generates_and_the_others_wait_for_it(engine: Engine) -> None:
    outcomes = race(engine, 8, lambda conn, _number: begin(conn, KEY))
    assert _kinds(outcomes) == ["Started"] + ["Wait"] * 7
    assert {outcome.generation for outcome in outcomes if isinstance(outcome, Wait)} == {1}


def test_no_more_than_the_limit_are_generated_at_once(engine: Engine) -> None:
    limits = GenerationLimits(max_running=2)
    outcomes = race(engine, 6, lambda conn, number: begin(conn, matrix_key(number), limits))
    assert _kinds(outcomes) == ["Started"] * 2 + ["Wait"] * 4
    assert {outcome.generation for outcome in outcomes if isinstance(outcome, Wait)} == {None}


@pytest.mark.parametrize("end", ["complete", "fail", "expire"])
def test_an_ended_generation_makes_room_for_another(connection: Connection, end: str) -> None:
    limits = GenerationLimits(max_running=1)
    first = started(connection, KEY, limits)
    assert isinstance(begin(connection, matrix_key("other"), limits), Wait)
    if end == "complete":
        assert matrix_generations.complete_generation(connection, first, payload())
    elif end == "fail":
        assert matrix_generations.fail_generation(connection, first, "because")
    else:
        expire_generation_lease(connection, first)
    assert isinstance(begin(connection, matrix_key("other"), limits), Started)


def test_no_more_than_the_limit_begin_within_a_minute(connection: Connection) -> None:
    limits = GenerationLimits(max_running=100)
    for number in range(10):
        assert matrix_generations.complete_generation(
            connection, started(connection, matrix_key(number), limits), payload()
        )
    assert isinstance(begin(connection, KEY, limits), Wait)
    connection.execute(
        text("UPDATE matrix_generations SET started_at = now() - interval '60 s' WHERE matrix_key = :key"),
        {"key": matrix_key(3)},
    )
    assert isinstance(begin(connection, KEY, limits), Started)


def test_the_limit_by_the_minute_holds_for_callers_at_once(engine: Engine) -> None:
    limits = GenerationLimits(max_running=100, per_minute=3)
    outcomes = race(engine, 8, lambda conn, number: begin(conn, matrix_key(number), limits))
    assert _kinds(outcomes) == ["Started"] * 3 + ["Wait"] * 5


def test_what_is_complete_is_not_generated_again(connection: Connection) -> None:
    store_matrix(connection, KEY)
    full = GenerationLimits(max_running=0, per_minute=0)
    reference = matrices.read_reference(connection, KEY)
    assert reference is not None
    assert begin(connection, KEY, full) == AlreadyComplete(reference)


def test_an_expired_generation_is_taken_over_by_one(engine: Engine, committed: Connection) -> None:
    zombie = started(committed, KEY)
    assert isinstance(begin(committed, KEY), Wait)
    expire_generation_lease(committed, zombie)
    outcomes = race(engine, 6, lambda conn, _number: begin(conn, KEY))
    assert _kinds(outcomes) == ["Started"] + ["Wait"] * 5
    assert _outcomes(committed) == [(1, "abandoned"), (2, None)]


def test_a_zombie_stores_nothing_extends_nothing_and_fails_nothing(connection: Connection) -> None:
    zombie = started(connection, KEY)
    expire_generation_lease(connection, zombie)
    heir = started(connection, KEY)
    before = _row(connection)
    assert not matrix_generations.complete_generation(connection, zombie, payload(b"stale"))
    assert not matrix_generations.extend_generation(connection, zombie, 45)
    assert not matrix_generations.fail_generation(connection, zombie, "because")
    assert _row(connection) == before
    assert matrix_generations.complete_generation(connection, heir, payload(b"fresh"))
    stored = matrices.load_payload(connection, KEY)
    assert stored is not None
    assert (stored.reference.generation, stored.payload.moic_matrix) == (2, b"fresh")
    assert not matrix_generations.complete_generation(connection, zombie, payload(b"stale"))


def test_an_expired_generation_that_nobody_took_over_may_still_end(connection: Connection) -> None:
    late = started(connection, KEY)
    expire_generation_lease(connection, late)
    assert matrix_generations.complete_generation(connection, late, payload())
    assert isinstance(begin(connection, KEY), AlreadyComplete)


def test_of_completing_and_taking_over_one_wins(engine: Engine, committed: Connection) -> None:
    late = started(committed, KEY)
    expire_generation_lease(committed, late)

    def act(conn: Connection, number: int) -> object:
        return matrix_generations.complete_generation(conn, late, payload()) if number == 0 else begin(conn, KEY)

    completed, outcome = race(engine, 2, act)
    assert isinstance(outcome, AlreadyComplete if completed else Started)


@pytest.mark.parametrize("wrong", ["lease_token", "generation", "key"])
def test_a_generation_is_ended_by_its_own_token_alone(connection: Connection, wrong: str) -> None:
    mine = started(connection, KEY)
    store_matrix(connection, matrix_key("other"))
    wrong_value = {"lease_token": uuid4(), "generation": 2, "key": matrix_key("other")}[wrong]
    stranger = replace(mine, **{wrong: wrong_value})
    assert not matrix_generations.complete_generation(connection, stranger, payload())
    assert not matrix_generations.extend_generation(connection, stranger, 45)
    assert not matrix_generations.fail_generation(connection, stranger, "because")
    assert _outcomes(connection) == [(1, None)]


def test_nobody_begins_between_the_end_of_a_generation_and_its_commit(engine: Engine) -> None:
    """Else one look would find no complete matrix yet, and the next no generation under way any more."""
    with engine.begin() as conn:
        generation = started(conn, KEY)
    with engine.begin() as ending:
        assert matrix_generations.complete_generation(ending, generation, payload())
        with engine.connect() as other:
            other.execute(text("SET lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                begin(other, KEY)
    with engine.begin() as conn:
        assert isinstance(begin(conn, KEY), AlreadyComplete)


def test_a_generation_that_shows_signs_of_life_is_not_taken_over(connection: Connection) -> None:
    mine = started(connection, KEY)
    expire_generation_lease(connection, mine)
    assert matrix_generations.extend_generation(connection, mine, 45)
    assert isinstance(begin(connection, KEY), Wait)


def _abandon_until_given_up(conn: Connection, limits: GenerationLimits = UNLIMITED) -> tuple[int, GaveUp]:
    """How many generations began, and the outcome that was none."""
    for begun in range(20):
        outcome = begin(conn, KEY, limits)
        if isinstance(outcome, GaveUp):
            return begun, outcome
        assert isinstance(outcome, Started)
        expire_generation_lease(conn, outcome)
    raise AssertionError("never gave up")


@pytest.mark.parametrize("max_takeovers", [0, 1, 3])
def test_after_so_many_takeovers_the_matrix_has_failed(connection: Connection, max_takeovers: int) -> None:
    begun, outcome = _abandon_until_given_up(connection, replace(UNLIMITED, max_takeovers=max_takeovers))
    assert begun == max_takeovers + 1
    assert outcome.reason == f"abandoned {begun} times: each process that generated this matrix died"
    assert (_row(connection)["status"], _row(connection)["error_reason"]) == ("failed", outcome.reason)


def test_a_later_request_builds_again_with_all_its_takeovers(connection: Connection) -> None:
    assert _abandon_until_given_up(connection)[0] == 4
    assert _abandon_until_given_up(connection)[0] == 4
    assert matrix_generations.complete_generation(connection, started(connection, KEY), payload())


def test_whoever_waited_for_a_generation_that_failed_has_failed_with_it(connection: Connection) -> None:
    generation = started(connection, KEY)
    wait = begin(connection, KEY)
    assert isinstance(wait, Wait)
    assert matrix_generations.fail_generation(connection, generation, "p90 is below the median")
    assert begin(connection, KEY, waited_for=wait.generation) == GaveUp("p90 is below the median")
    assert isinstance(begin(connection, KEY), Started)


def test_whoever_waited_for_a_failed_generation_is_served_if_another_completed(connection: Connection) -> None:
    assert matrix_generations.fail_generation(connection, started(connection, KEY), "because")
    store_matrix(connection, KEY)
    assert isinstance(begin(connection, KEY, waited_for=1), AlreadyComplete)


def test_a_rebuilt_matrix_replaces_the_failed_row_whole(connection: Connection) -> None:
    assert matrix_generations.fail_generation(connection, started(connection, KEY), "because")
    connection.execute(text("UPDATE scenario_matrices SET created_at = created_at - interval '1 day'"))
    started(connection, KEY)
    row = _row(connection)
    assert (row["status"], row["generation"], row["error_reason"], row["completed_at"]) == ("generating", 2, None, None)
    assert row["created_at"] == row["last_accessed_at"]


def test_a_matrix_that_was_invalidated_is_built_as_a_new_generation(connection: Connection) -> None:
    store_matrix(connection, KEY, b"old")
    assert matrices.invalidate(connection, KEY)
    assert matrices.read_reference(connection, KEY) is None
    again = started(connection, KEY)
    assert (again.generation, again.previous_sha256) == (2, payload(b"old").payload_sha256)


def test_invalidating_leaves_alone_what_is_in_the_making_or_not_there(connection: Connection) -> None:
    assert not matrices.invalidate(connection, KEY)
    mine = started(connection, KEY)
    assert not matrices.invalidate(connection, KEY)
    assert matrix_generations.complete_generation(connection, mine, payload())


def test_a_generation_without_its_row_stores_nothing(connection: Connection) -> None:
    mine = started(connection, KEY)
    connection.execute(text("DELETE FROM scenario_matrices"))
    assert not matrix_generations.complete_generation(connection, mine, payload())
    assert _outcomes(connection) == [(1, None)]


def test_a_read_is_noted_at_most_once_a_minute(connection: Connection) -> None:
    store_matrix(connection, KEY)

    def noted_after(seconds: int) -> bool:
        connection.execute(
            text("UPDATE scenario_matrices SET last_accessed_at = now() - make_interval(secs => :s)"), {"s": seconds}
        )
        matrices.load_payload(connection, KEY)
        return connection.scalar(text("SELECT last_accessed_at = now() FROM scenario_matrices")) is True

    assert [noted_after(59), noted_after(61)] == [False, True]
