"""A run reads its matrix from the database once, whatever it resumes at, and holds it no longer than it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from core.session_states import SessionStatus
from db.session_rows import Fence
from tasks import runtime
from tests.flow.flows.product import Product

pytestmark = pytest.mark.xdist_group("flows")


@contextmanager
def payloads_read(engine: Engine) -> Iterator[list[str]]:
    """The statements of this engine that select a matrix's payload."""
    found: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        if statement.lstrip().startswith("SELECT") and "moic_matrix" in statement:
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def loads_of(product: Product, fence: Fence) -> int:
    with payloads_read(runtime.engine()) as found:
        assert product.run(fence).name == "Completed"
    return len(found)


def test_a_run_from_request_to_result_loads_its_matrix_once(product: Product) -> None:
    assert loads_of(product, product.ask()) == 1
    assert loads_of(product, product.ask()) == 1  # a hit, in the cache of Prefect and in the database


@pytest.mark.parametrize("reached", [SessionStatus.OPTIMIZING, SessionStatus.VALIDATING])
def test_a_run_that_takes_over_loads_its_matrix_once(product: Product, reached: SessionStatus) -> None:
    example = product.completed()
    fence = product.ask()
    product.bring_to(fence, reached, example)
    assert loads_of(product, product.again(fence)) == 1
