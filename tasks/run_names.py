"""Names of runs in Prefect. Without Prefect: the bridge names runs before it needs it."""

from __future__ import annotations

from uuid import UUID

MATRIX_RUN_NAME = "{matrix_key:.24}"
"""Of a matrix task: its key (which begins with "matrix") as far as tells matrices apart at a glance."""


def session_run_name(fund_name: str, session_id: UUID) -> str:
    return f"{fund_name} · session {session_id}"


def frontier_run_name(fund_name: str, frontier_id: UUID) -> str:
    return f"{fund_name} · frontier {frontier_id}"
