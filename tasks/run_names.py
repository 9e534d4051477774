"""How a session's flow run is called in Prefect, whoever makes it."""

from __future__ import annotations

from uuid import UUID


def session_run_name(fund_name: str, session_id: UUID) -> str:
    return f"{fund_name} · session {session_id}"
