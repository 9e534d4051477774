"""Which failures are repeated, and how soon: those that say trying again can help. A domain error never is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from core.errors import VcfolioError

Result = TypeVar("Result")

RETRIES = 3
RETRY_DELAYS_S = [1.0, 4.0, 10.0]


def is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect asks this before it repeats a task run; the state holds the exception."""
    return isinstance(state.data, VcfolioError) and state.data.retryable


class RetryOptions(TypedDict):
    """Options of a Prefect task."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Callable[[Task[Any, Any], TaskRun, State[Any]], bool]


TASK_RETRY: RetryOptions = {
    "retries": RETRIES,
    "retry_delay_seconds": RETRY_DELAYS_S,
    "retry_condition_fn": is_transient,
}


def retry_transient(attempt: Callable[[], Result]) -> Result:
    """The same retries for what is not a task run. `attempt` must be idempotent: a commit may have succeeded."""
    for delay_s in RETRY_DELAYS_S:
        try:
            return attempt()
        except VcfolioError as error:
            if not error.retryable:
                raise
        time.sleep(delay_s)
    return attempt()
