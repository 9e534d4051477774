"""The matrix of a canonical key: generated once, however many sessions, processes and machines need it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from prefect import task
from sqlalchemy import Engine

from core.errors import MatrixFailed, Superseded, Unavailable, VcfolioError
from db.engine import transaction
from db.fault_points import fault_point
from db.matrices import MatrixPayload, MatrixReference
from db.matrix_generations import (
    AlreadyComplete,
    GaveUp,
    GenerationLimits,
    MatrixVersions,
    Started,
    begin_generation,
    complete_generation,
    extend_generation,
    fail_generation,
)
from db.matrix_values import payload_of
from db.session_rows import Fence
from db.sessions import load_session
from db.settings import Settings
from tasks import runtime
from tasks.block_ranges import Progress
from tasks.heartbeat import Beat, Heartbeat, heartbeat_of
from tasks.large_matrix import simulate
from tasks.reference_cache import MatrixKeyPolicy
from tasks.retries import TASK_RETRY, retry_transient
from tasks.run_names import MATRIX_RUN_NAME

logger = logging.getLogger(__name__)

CACHE_EXPIRATION = timedelta(hours=24)
POLL_S = 0.2


@task(
    name="matrix",
    task_run_name=MATRIX_RUN_NAME,
    cache_policy=MatrixKeyPolicy(),
    cache_expiration=CACHE_EXPIRATION,
    persist_result=True,
    result_serializer="json",
    **TASK_RETRY,
)
def generate_matrix(matrix_key: str, fence: Fence) -> dict[str, Any]:
    """A reference to the complete matrix: key, generation, checksum; never the array."""
    engine, settings = runtime.engine(), runtime.settings()
    with transaction(engine) as conn:
        key_document = load_session(conn, fence.session_id).matrix_key_json
    return asdict(ensure_generated(engine, settings, matrix_key, key_document, fence))


def ensure_generated(
    engine: Engine, settings: Settings, matrix_key: str, key_document: Mapping[str, Any], fence: Fence | None
) -> MatrixReference:
    """Generate the matrix, or wait for the run that does. fence: of the session that it is for, None for no session.

    Raises MatrixFailed, or Superseded when the session is lost.
    """
    limits = GenerationLimits(
        settings.generation_lease_s,
        settings.max_generations,
        settings.max_generations_per_minute,
        settings.max_takeovers,
    )
    key = key_document["key"]
    versions = MatrixVersions(key["sim_model_version"], key["calibration_version"], key["key_schema_version"])
    heartbeat = None if fence is None else heartbeat_of(fence)
    waited_for: int | None = None
    while True:
        if heartbeat is not None:
            heartbeat.require()
        with transaction(engine) as conn:
            outcome = begin_generation(
                conn,
                matrix_key,
                key_document,
                versions,
                session_id=None if fence is None else fence.session_id,
                limits=limits,
                waited_for=waited_for,
            )
        match outcome:
            case AlreadyComplete(reference):
                return reference
            case Started():
                generated = _generate(engine, settings, outcome, key_document, partial(_report_progress, heartbeat))
                if generated is not None:
                    return generated
            case GaveUp(reason):
                raise MatrixFailed(f"matrix {matrix_key}: {reason}")
            case _:
                if heartbeat is not None:
                    heartbeat.report({"stage": "matrix", "step": outcome.reason})
                waited_for = outcome.generation
                time.sleep(POLL_S)


def _generate(
    engine: Engine, settings: Settings, started: Started, key_document: Mapping[str, Any], progress: Progress
) -> MatrixReference | None:
    """None when another process took the generation over meanwhile; what was made is dropped then."""

    def extend(lease_s: float) -> bool:
        with transaction(engine) as conn:
            return extend_generation(conn, started, lease_s)

    def release_lease() -> None:
        """The next run may begin at once."""
        with suppress(Unavailable):
            extend(0.0)

    try:
        # Ended before the lease is released: a last beat would renew it.
        with Beat(lambda: extend(settings.generation_lease_s), settings.heartbeat_s, f"lease of {started.key}"):
            payload = payload_of(simulate(key_document, settings, progress), key_document)
            fault_point("matrix.simulated")
            if not retry_transient(partial(_store, engine, started, payload)):
                return None
    except Superseded:
        # The session is superseded; another run may still generate the matrix.
        release_lease()
        raise
    except VcfolioError as error:
        if error.retryable:
            raise
        with transaction(engine) as conn:
            fail_generation(conn, started, f"{error.code}: {error}")
        raise MatrixFailed(f"matrix {started.key}: {error}") from error
    except BaseException:
        # Interrupted from outside, or an unexpected error.
        release_lease()
        raise
    if started.previous_sha256 not in (None, payload.payload_sha256):
        logger.warning(
            "matrix %s was rebuilt as generation %d with other values than before (%s, now %s): "
            "another processor or library version rounds differently",
            started.key,
            started.generation,
            started.previous_sha256,
            payload.payload_sha256,
        )
    return MatrixReference(started.key, started.generation, payload.payload_sha256)


def _report_progress(heartbeat: Heartbeat | None, done: int, ranges: int) -> None:
    """Raises Superseded once the session is lost, which ends its generation."""
    if heartbeat is not None:
        heartbeat.require()
        heartbeat.report({"stage": "matrix", "step": f"{done} of {ranges} block ranges"})


def _store(engine: Engine, started: Started, payload: MatrixPayload) -> bool:
    with transaction(engine) as conn:
        completed = complete_generation(conn, started, payload)
        fault_point("matrix.writing")
        return completed
