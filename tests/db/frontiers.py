"""Stored frontiers, asked for and carried to their end by the product's own run, without a flow."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine, text

from core.frontier.family import Assignment
from core.frontier.point import FrontierPoint
from core.frontier.variation import parse_variation
from db.engine import transaction
from db.frontier_requests import request_frontier
from db.frontiers import FrontierFence, FrontierRow, load_frontier, take_frontier
from db.funds import local_user_id
from db.matrices import read_reference
from db.sessions import load_session
from db.settings import Settings
from tasks.frontier_job import FrontierRun

SETTINGS = Settings(home="/nowhere", ownership_check_s=0.05)


def ask(engine: Engine, session_id: UUID, vary: str, settings: Settings = SETTINGS) -> FrontierRow:
    with transaction(engine) as conn:
        session = load_session(conn, session_id)
        return request_frontier(conn, settings, session, parse_variation([vary]), local_user_id(conn))


def take(engine: Engine, frontier: FrontierRow, epoch: int | None = None) -> FrontierFence:
    with transaction(engine) as conn:
        fence = take_frontier(
            conn, frontier.frontier_id, frontier.epoch if epoch is None else epoch, SETTINGS.lease_s, "test"
        )
    assert fence is not None
    return fence


def solve(engine: Engine, fence: FrontierFence, settings: Settings = SETTINGS) -> None:
    """To its end, in this thread."""
    with FrontierRun(engine, fence, settings) as run:
        with transaction(engine) as conn:
            reference = read_reference(conn, run.job.row.matrix_key)
        assert reference is not None

        def wave(assignments: list[Assignment]) -> list[FrontierPoint]:
            return [run.point(assignment, reference) for assignment in assignments]

        run.solve(wave)


def solve_all(engine: Engine) -> None:
    """Those that wait, as the stack would."""
    with transaction(engine) as conn:
        waiting = list(conn.scalars(text("SELECT frontier_id FROM frontier_jobs WHERE status = 'REQUESTED'")))
    for frontier_id in waiting:
        solve(engine, take(engine, stored(engine, frontier_id)))


def stored(engine: Engine, frontier_id: UUID) -> FrontierRow:
    with transaction(engine) as conn:
        return load_frontier(conn, frontier_id)
