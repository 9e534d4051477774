"""Prefect in memory, and a quiet log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.flow_runs import FlowRunsInMemory


@pytest.fixture
def prefect() -> FlowRunsInMemory:
    return FlowRunsInMemory()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL, logger="tasks"):
        yield
