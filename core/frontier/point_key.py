"""What decides a point of a frontier, as one hash: whoever needs the same point finds it under the same key."""

from __future__ import annotations

from core.arrays import FloatArray
from core.canonical import canonical_json, sha256_hex
from core.request.normalized_config import NormalizedConfig
from core.solver.program import SOLVER_VERSION


def point_key(config: NormalizedConfig, matrix_key: str, start: FloatArray | None) -> str:
    """sha256, in hex. config: with the limit at the point's value. start: weights (B,) that the solver starts from.

    The start is part of it, because of several answers within the solver's gap it may decide which one is found: a
    frontier must not depend on which others were solved before. So is the version of the solver, whose answers within
    the gap may differ.
    """
    document = {
        "config": config.model_dump(mode="json", exclude={"relaxation_mode"}),
        "matrixKey": matrix_key,
        "solverVersion": SOLVER_VERSION,
        "start": None if start is None else start.tolist(),
    }
    return sha256_hex(canonical_json(document))
