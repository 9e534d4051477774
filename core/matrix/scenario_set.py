"""The scenarios that a portfolio is chosen on, with what is known of its expectations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from core.arrays import Float32Array, FloatArray


@dataclass(frozen=True, slots=True)
class Expectations:
    """Of every bucket, in key order, by its distribution; buckets of one distribution have the same bits.

    mean: (n_buckets,), expected multiple on allocated capital. win_probability: (n_buckets,), that a company returns
    the winner multiple or more. mean_error, win_error: likewise, of either: standard errors where they were drawn,
    the error of the quadrature else.
    """

    mean: FloatArray
    win_probability: FloatArray
    mean_error: FloatArray
    win_error: FloatArray


class Scenarios(Protocol):
    """What optimization and validation read: a stored matrix, or a set of scenarios drawn for the risk alone.

    moic: (n_buckets, n_scenarios), finite, >= 0, rows in bucket-key order. win_probability: (n_buckets,).
    expectations: None where the sample is all that is known; objective and winners follow them otherwise.
    exchangeable: groups of positions of buckets that share equally, every bucket in one; empty where none do.
    """

    @property
    def moic(self) -> Float32Array | FloatArray: ...
    @property
    def bucket_keys(self) -> tuple[str, ...]: ...
    @property
    def win_probability(self) -> FloatArray: ...
    @property
    def expectations(self) -> Expectations | None: ...
    @property
    def exchangeable(self) -> Sequence[tuple[int, ...]]: ...
    @property
    def n_buckets(self) -> int: ...
    @property
    def n_scenarios(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """Scenarios that are not stored. See `Scenarios`."""

    moic: Float32Array | FloatArray
    bucket_keys: tuple[str, ...]
    win_probability: FloatArray
    expectations: Expectations | None = None
    exchangeable: Sequence[tuple[int, ...]] = ()

    @classmethod
    def regrouped(cls, scenarios: Scenarios, exchangeable: Sequence[tuple[int, ...]]) -> Self:
        """The same scenarios with these groups of buckets; none for an empty sequence."""
        return cls(
            scenarios.moic, scenarios.bucket_keys, scenarios.win_probability, scenarios.expectations, exchangeable
        )

    def __post_init__(self) -> None:
        assert self.moic.shape[0] == len(self.bucket_keys) == len(self.win_probability)
        assert not self.exchangeable or sorted(np.concatenate(self.exchangeable)) == list(range(self.n_buckets))

    @property
    def n_buckets(self) -> int:
        return int(self.moic.shape[0])

    @property
    def n_scenarios(self) -> int:
        return int(self.moic.shape[1])
