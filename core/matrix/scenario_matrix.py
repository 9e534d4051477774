"""A scenario matrix: what every bucket returns in every simulated scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Float32Array, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ScenarioState:
    """What one simulated scenario looks like; shocks are dimensionless.

    regime_shock: in [-1, 1]. `three_component_v1`: systematic and idiosyncratic in bucket-key order, in [-1, 1].
    `three_component_v2`: systematic by sector in sorted order, standard normal; no bucket has a shock of its own.
    """

    macro_regime: str
    regime_shock: float
    systematic: tuple[float, ...]
    idiosyncratic: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "macro_regime": self.macro_regime,
            "regime_shock": self.regime_shock,
            "systematic": list(self.systematic),
            "idiosyncratic": list(self.idiosyncratic),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScenarioState:
        return cls(
            document["macro_regime"],
            document["regime_shock"],
            tuple(document["systematic"]),
            tuple(document["idiosyncratic"]),
        )


@dataclass(frozen=True, slots=True)
class MatrixBlockRange:
    """Consecutive scenarios of a matrix, from `start` on.

    moic: (n_buckets, n), as in the matrix. winners: (n_buckets,), how many of the range's companies. states: n.
    """

    start: int
    moic: Float32Array
    winners: IntArray
    states: Sequence[ScenarioState]


@dataclass(frozen=True, slots=True)
class ScenarioMatrix:
    """MOIC on allocated capital.

    moic: float32, shape (n_buckets, n_scenarios), row-major, finite, >= 0; rows in bucket-key order (code points).
    bucket_keys: one per row. win_probability: shape (n_buckets,), chance that a company of the bucket is a winner.
    states: one per column.
    """

    moic: Float32Array
    bucket_keys: tuple[str, ...]
    win_probability: FloatArray
    states: Sequence[ScenarioState]

    def __post_init__(self) -> None:
        n_buckets, n_scenarios = self.moic.shape
        assert self.moic.dtype == np.float32
        assert self.moic.flags.c_contiguous
        assert n_buckets == len(self.bucket_keys) == len(self.win_probability)
        assert n_scenarios == len(self.states)
        assert list(self.bucket_keys) == sorted(self.bucket_keys)

    @property
    def expectations(self) -> None:
        """A stored matrix knows its own sample alone."""
        return None

    @property
    def exchangeable(self) -> tuple[()]:
        """No buckets are tied to each other."""
        return ()

    @property
    def n_buckets(self) -> int:
        return int(self.moic.shape[0])

    @property
    def n_scenarios(self) -> int:
        return int(self.moic.shape[1])
