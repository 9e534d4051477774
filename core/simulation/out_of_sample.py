"""Scenarios out of sample: of the matrix's distribution, but not those that the portfolio was chosen on."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class OutOfSampleScenarios:
    """moic: (n_buckets, n_scenarios), float64, finite, >= 0: the mean multiple of the companies a bucket holds.

    regimes: (n_scenarios,), the position of each scenario's macro regime in the inputs.
    """

    moic: FloatArray
    regimes: IntArray
