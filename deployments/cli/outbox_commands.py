"""`vcfolio outbox`: what waits for its flow run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from db.engine import transaction
from db.queue import list_jobs, redrive
from db.settings import load_settings
from db.tables.outbox import JobType
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, SessionId
from deployments.local.services import database


def show(
    *,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    with database(load_settings()) as engine, transaction(engine) as conn:
        jobs = list_jobs(conn, limit)
    if as_json:
        terminal.print_json(
            [
                {
                    "sessionId": str(job.session_id),
                    "jobType": job.job_type.value,
                    "fund": job.fund,
                    "status": job.status.value,
                    "epoch": job.epoch,
                    "attempts": job.attempts,
                    "maxAttempts": job.max_attempts,
                    "dueInSeconds": job.due_in_s,
                    "lastError": job.last_error,
                    "flowRunId": None if job.flow_run_id is None else str(job.flow_run_id),
                    "createdAt": job.created_at.isoformat(),
                }
                for job in jobs
            ]
        )
        return
    if not jobs:
        terminal.output.print("the outbox is empty: no session or frontier is waiting or running")
        return
    table = Table()
    for heading in ("session or frontier", "kind", "fund", "row", "epoch", "attempts", "due", "last error"):
        table.add_column(heading, overflow="fold")
    for job in jobs:
        due = "" if job.status != "pending" else ("now" if job.due_in_s <= 0 else f"in {job.due_in_s:.0f} s")
        attempts = f"{job.attempts}/{job.max_attempts}"
        kind = "frontier" if job.job_type is JobType.FRONTIER else "session"
        table.add_row(
            str(job.session_id), kind, job.fund, job.status, str(job.epoch), attempts, due, job.last_error or ""
        )
    terminal.output.print(table)


def redrive_session(session_id: SessionId) -> None:
    """Raises NotFound, or BadInput for a row that is not pending."""
    with database(load_settings()) as engine, transaction(engine) as conn:
        redrive(conn, session_id)
    terminal.say(f"session {session_id} is due now")
