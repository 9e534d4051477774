"""From the precision that is simulated in to the one that is stored."""

from __future__ import annotations

import numpy as np

from core.arrays import Float32Array, FloatArray
from core.errors import BadInput


def as_float32(moic: FloatArray) -> Float32Array:
    """Row-major float32. Raises BadInput for a multiple beyond its range, which would read as infinite."""
    largest = float(moic.max())
    if not largest <= float(np.finfo(np.float32).max):
        raise BadInput.of("p90_moic", largest, "the simulated multiples exceed the range of float32")
    return np.ascontiguousarray(moic, dtype=np.float32)
