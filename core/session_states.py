"""The states of an optimization session and the edges between them.

    REQUESTED -> MATRIX_GENERATING -> OPTIMIZING -> VALIDATING -> COMPLETED
    any state that is not terminal -> FAILED

What must hold on entering a state is written in the database's CHECKs (db/tables): an allocation with VALIDATING,
validation metrics with COMPLETED, an error code and reason with FAILED.
"""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    REQUESTED = "REQUESTED"
    MATRIX_GENERATING = "MATRIX_GENERATING"
    OPTIMIZING = "OPTIMIZING"
    VALIDATING = "VALIDATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @property
    def terminal(self) -> bool:
        return self in (SessionStatus.COMPLETED, SessionStatus.FAILED)


NEXT_STATUS: dict[SessionStatus, SessionStatus] = {
    SessionStatus.REQUESTED: SessionStatus.MATRIX_GENERATING,
    SessionStatus.MATRIX_GENERATING: SessionStatus.OPTIMIZING,
    SessionStatus.OPTIMIZING: SessionStatus.VALIDATING,
    SessionStatus.VALIDATING: SessionStatus.COMPLETED,
}


def may_move(frm: SessionStatus, to: SessionStatus) -> bool:
    """Whether the state machine has the edge `frm -> to`."""
    if frm.terminal:
        return False
    return to is SessionStatus.FAILED or NEXT_STATUS.get(frm) is to
