"""Which failures a task run repeats: those that say trying again can help. A domain error never is."""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from core.errors import VcfolioError

RETRIES = 3
RETRY_DELAYS_S = [1.0, 4.0, 10.0]


def is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect asks this before it repeats a task run; the state holds the exception."""
    return isinstance(state.data, VcfolioError) and state.data.retryable
