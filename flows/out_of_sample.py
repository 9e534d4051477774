"""Millions of scenarios out of sample for the portfolio of a completed session, as a flow of mapped tasks.

It stores nothing: the answer is what it returns. Run again, it gives the same answer.
"""

from __future__ import annotations

from uuid import UUID

from prefect import flow

from core.result.reports import LargeSampleDocument
from db.engine import transaction
from db.sessions import load_session
from tasks import runtime
from tasks.block_ranges import Progress
from tasks.large_sample import judge_in_large_sample, require_scenarios

_listeners: list[Progress] = []


def report_progress_to(progress: Progress) -> None:
    """From now on flows of this process tell how far they are. Not a parameter: those go to other processes."""
    _listeners[:] = [progress]


@flow(name="out-of-sample", flow_run_name="{scenarios} scenarios for {session_id}", persist_result=False)
def out_of_sample(session_id: UUID, scenarios: int) -> LargeSampleDocument:
    """Raises NotFound for an unknown session, BadInput for one that is not completed or for too many scenarios."""
    require_scenarios(scenarios)
    with transaction(runtime.engine()) as conn:
        session = load_session(conn, session_id)
    return judge_in_large_sample(session, scenarios, runtime.settings(), _report_all)


def _report_all(done: int, parts: int) -> None:
    for progress in _listeners:
        progress(done, parts)
