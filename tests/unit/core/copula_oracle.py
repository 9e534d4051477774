"""`three_component_v2` written again, one company at a time, from its formulas, with another library.

Nothing is shared with the product but the inputs: Philox from NumPy's raw words, the normal distribution, quadrature
and root finding from SciPy. Slow, and meant to be compared with on a handful of companies.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
from scipy import integrate
from scipy.special import ndtr, ndtri

from core.simulation.inputs import BucketParams, SimulationInputs
from core.stages import Stage

BLOCK = 1000
ORDER = ("Seed", "A", "B", "C")


def uniform(inputs: SimulationInputs, purpose: int, scenario: int, stream: int, place: int) -> float:
    """The `place`-th word of a stream as a number in (0, 1)."""
    key = int.from_bytes(hashlib.sha256(inputs.matrix_key.encode()).digest()[:16], "big")
    counter = (purpose << 192) + (scenario // BLOCK << 128) + (stream << 64) + place // 4
    word = int(np.random.Philox(key=key, counter=counter).random_raw(4)[place % 4])
    return ((word >> 11) | 1) / 2**53


class Oracle:
    """The model of one set of inputs; `purpose` is the number of the purpose its draws belong to."""

    def __init__(self, inputs: SimulationInputs, purpose: int) -> None:
        assert inputs.copula is not None
        assert inputs.correlation is None
        self.inputs, self.terms, self.purpose = inputs, inputs.copula, purpose
        terms = inputs.copula
        total = terms.regime_share + terms.sector_share + terms.share_group_size * terms.idiosyncratic_share
        self.a, self.b = math.sqrt(terms.regime_share / total), math.sqrt(terms.sector_share / total)
        self.c = math.sqrt(terms.share_group_size * terms.idiosyncratic_share / total)
        parts = [(r.probability, r.shock_min, r.shock_max) for r in terms.reference_regimes]
        self.mean = sum(p * (low + high) / 2 for p, low, high in parts)
        second = sum(p * (low * low + low * high + high * high) / 3 for p, low, high in parts)
        self.sd = math.sqrt(second - self.mean**2)
        self.parts = [(p, (low - self.mean) / self.sd, (high - self.mean) / self.sd) for p, low, high in parts]
        self.common_tail = lru_cache(None)(self._common_tail)
        self.rank = lru_cache(None)(self._rank)

    def _common_tail(self, t: float) -> float:
        """P(T <= t), by quadrature over the regime's shock."""
        total = 0.0
        for p, low, high in self.parts:
            value, _ = integrate.quad(lambda r: ndtr((t - self.a * r) / self.b), low, high, epsabs=1e-13)
            total += p * value / (high - low)
        return total

    def density(self, t: float) -> float:
        total = 0.0
        for p, low, high in self.parts:
            total += p * (ndtr((t - self.a * low) / self.b) - ndtr((t - self.a * high) / self.b)) / (high - low)
        return total / self.a

    def path(self, bucket: BucketParams) -> tuple[list[float], list[float]]:
        """(exits, failures) by graduations: every path, one step after the other."""
        stages = ORDER[ORDER.index(bucket.stage) :]
        exits, failures = [0.0] * len(stages), [0.0] * len(stages)

        def walk(j: int, rounds: int, chance: float) -> None:
            if chance == 0.0:
                return
            if rounds == 0:
                failures[j] += chance
                return
            rates = self.inputs.transitions[Stage(stages[j])]
            p = rates.failure_rate
            fail = min(p * bucket.sector_risk_multiplier, 1.0)
            scale = (1 - fail) / (1 - p)
            leave, up = rates.exit_rate * scale, rates.graduate_rate * scale
            failures[j] += chance * fail
            exits[j] += chance * leave
            if j + 1 == len(stages):
                exits[j] += chance * up
            else:
                walk(j + 1, rounds - 1, chance * up)
            walk(j, rounds - 1, chance * (1 - fail - leave - up))

        walk(0, self.inputs.max_rounds, 1.0)
        return exits, failures

    def failure(self, failed: float, t: float) -> float:
        rho = self.terms.transition_correlation
        return float(ndtr((ndtri(failed) - math.sqrt(rho) * ndtri(self.common_tail(t))) / math.sqrt(1 - rho)))

    def _rank(self, failed: float, z: float) -> float:
        """P(Z <= z | exit)."""
        low = self.a * min(low for _, low, _ in self.parts) - 9 * self.b
        high = self.a * max(high for _, _, high in self.parts) + 9 * self.b

        def weight(t: float) -> float:
            return self.density(t) * (1 - self.failure(failed, t))

        below, _ = integrate.quad(lambda t: ndtr((z - t) / self.c) * weight(t), low, high, limit=200, epsabs=1e-11)
        total, _ = integrate.quad(weight, low, high, limit=200, epsabs=1e-11)
        return below / total

    def quantile(self, stage: str, bucket: BucketParams, u: float) -> float:
        outcome = self.inputs.exit_outcomes[Stage(stage)]
        median, p90 = (
            (bucket.median_moic, bucket.p90_moic) if stage == bucket.stage else (outcome.median_moic, outcome.p90_moic)
        )
        if u <= 0.9:
            multiple = median * (p90 / median) ** (ndtri(u) / ndtri(0.9))
        else:
            multiple = p90 * ((1 - u) / 0.1) ** (-1 / (2.2491 / math.log(p90 / median)))
        return float(min(multiple * bucket.sector_return_multiplier, self.terms.outcome_cap))

    def company(self, position: int, company: int, scenario: int) -> tuple[float, float]:
        """(multiple on allocated capital, weight of the check)."""
        inputs, bucket = self.inputs, self.inputs.buckets[position]
        sectors = sorted({other.sector for other in inputs.buckets})

        def reference(row: int) -> float:
            return uniform(inputs, self.purpose, scenario, 0, row * BLOCK + scenario % BLOCK)

        pick, below = reference(0), 0.0
        for regime in inputs.regimes:
            below += regime.probability
            if pick < below:
                break
        shock = regime.shock_min + reference(1) * (regime.shock_max - regime.shock_min)
        sector = float(ndtri(reference(2 + sectors.index(bucket.sector))))
        t = self.a * (shock - self.mean) / self.sd + self.b * sector
        start = 4 * (company * BLOCK + scenario % BLOCK)
        own, fate, path, check = (uniform(inputs, self.purpose, scenario, position + 1, start + i) for i in range(4))
        spread = math.sqrt(math.log(1 + bucket.check_size_cv**2))
        return self.returned(bucket, t, own, fate, path), math.exp(spread * ndtri(check))

    def returned(self, bucket: BucketParams, t: float, own: float, fate: float, path: float) -> float:
        exits, failures = self.path(bucket)
        failed = sum(failures)
        stages = ORDER[ORDER.index(bucket.stage) :]
        ratio, table = bucket.reserve_ratio, self.inputs.cap_table
        n = min(int(bucket.rounds_to_exit), len(stages) - 1)
        each = ratio * table.pro_rata_participation_rate / n if n else 0.0
        ownership_retained = (1 - table.dilution_per_round_pct) * (1 - table.option_pool_refresh_pct)
        out = fate < self.failure(failed, t)
        chances = failures if out else exits
        shares = np.cumsum(chances) / sum(chances)
        k = int(np.searchsorted(shares[:-1], path, side="right"))
        deployed = each * min(k, n)
        if out:
            return (ratio - deployed) / (1 + ratio)
        u = self.rank(failed, t + self.c * float(ndtri(own)))
        value = self.quantile(stages[0], bucket, u) * ownership_retained**k
        for j in range(1, min(k, n) + 1):
            value += each * self.quantile(stages[j], bucket, u) * ownership_retained ** (k - j)
        return (value + ratio - deployed) / (1 + ratio)

    def entry(self, position: int, scenario: int) -> float:
        """The matrix entry, before recycling: the mean by check size."""
        pairs = [self.company(position, i, scenario) for i in range(self.terms.companies_per_bucket)]
        return sum(value * weight for value, weight in pairs) / sum(weight for _, weight in pairs)
