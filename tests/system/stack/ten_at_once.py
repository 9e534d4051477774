"""Ten requests at the same time, through the running stack."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from core.session_states import SessionStatus
from tests.system.stack.running import Stack


def ten_at_once(stack: Stack, round_number: int) -> None:
    """Half of them share one matrix, each of the others has its own: each matrix is made once, and all complete."""
    taxonomies = [f"round {round_number} taxonomy {max(0, number - 4)}" for number in range(10)]
    with ThreadPoolExecutor(len(taxonomies)) as pool:
        session_ids = list(pool.map(lambda taxonomy: stack.request(taxonomyVersion=taxonomy), taxonomies))
    sessions = [stack.wait_for(session_id) for session_id in session_ids]
    assert {session.status for session in sessions} == {SessionStatus.COMPLETED}
    keys = list({session.matrix_key for session in sessions})
    assert len(keys) == 6
    counted = "SELECT outcome, count(*) FROM matrix_generations WHERE matrix_key = ANY (:keys) GROUP BY outcome"
    assert stack.rows(counted, keys=keys) == [("complete", 6)]
    assert sum(session.matrix_origin == "generated" for session in sessions) == 6
    assert all(len(stack.flow_runs(session_id)) == 1 for session_id in session_ids)
