"""The constrained reserve engine: one greedy pass of follow-on reserves over scored companies.

All amounts are whole cents (half a cent up), so that what is allocated and what remains add up to the reserves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import BadInput, FieldProblem
from core.portfolio.dollars import to_cents

DEFAULT_DISCOUNT_RATE = 0.12
DEFAULT_YEARS = 5.0
DEFAULT_GRADUATION_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True)
class ReserveCompany:
    """score: if given, replaces the one computed from the stage's policy. min_check_usd: likewise the general one."""

    id: str
    name: str
    stage: str
    score: float | None = None
    min_check_usd: float | None = None


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """reserve_multiple: what a reserved dollar is expected to return at the stage; weight: the fund's preference."""

    reserve_multiple: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ReserveConstraints:
    """Amounts in USD, None for no cap; the maps are by stage, with the defaults above for a stage they leave out."""

    min_check_usd: float = 0.0
    max_per_company_usd: float | None = None
    max_per_stage_usd: Mapping[str, float] = field(default_factory=dict)
    discount_rate_annual: float = DEFAULT_DISCOUNT_RATE
    graduation_years: Mapping[str, float] = field(default_factory=dict)
    graduation_probability: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReserveAllocation:
    id: str
    name: str
    stage: str
    allocated_cents: int


@dataclass(frozen=True, slots=True)
class ReserveResult:
    """allocations: those above 0, best score first. They and remaining_cents add up to the reserves."""

    allocations: tuple[ReserveAllocation, ...]
    total_allocated_cents: int
    remaining_cents: int


@dataclass(frozen=True, slots=True)
class ConstrainedReserveEngine:
    """Policies by stage, and the constraints of every allocation."""

    stage_policies: Mapping[str, StagePolicy]
    constraints: ReserveConstraints = field(default_factory=ReserveConstraints)

    def allocate(self, available_reserves_usd: float, companies: Sequence[ReserveCompany]) -> ReserveResult:
        """Best score first, then by name, then by id: each company takes all the room it has.

        Room is the least of what remains, what its stage's cap leaves and the company cap; a company whose room is
        below the minimum check gets nothing.
        Raises BadInput for an amount that is negative or not finite, a stage without a policy, a discount that is
        not a finite number above 0.
        """
        self._check_amounts(available_reserves_usd, companies)
        limits = self.constraints
        scores = [self._score(position, company) for position, company in enumerate(companies)]
        ranked = sorted(zip(scores, companies, strict=True), key=lambda pair: (-pair[0], pair[1].name, pair[1].id))
        stage_room = {stage: to_cents(cap) for stage, cap in limits.max_per_stage_usd.items()}
        remaining = to_cents(available_reserves_usd)
        allocations = []
        for _, company in ranked:
            room = min(remaining, stage_room.get(company.stage, remaining))
            if limits.max_per_company_usd is not None:
                room = min(room, to_cents(limits.max_per_company_usd))
            min_check = limits.min_check_usd if company.min_check_usd is None else company.min_check_usd
            if room <= 0 or room < to_cents(min_check):
                continue
            allocations.append(ReserveAllocation(company.id, company.name, company.stage, room))
            remaining -= room
            if company.stage in stage_room:
                stage_room[company.stage] -= room
        total = sum(allocation.allocated_cents for allocation in allocations)
        return ReserveResult(tuple(allocations), total, remaining)

    def _score(self, position: int, company: ReserveCompany) -> float:
        """Present value of a reserved dollar: multiple * P(graduation) / (1 + discount)^years * weight."""
        where = f"companies[{position}]"
        if company.score is not None:
            return _finite(f"{where}.score", company.score)
        policy = self.stage_policies.get(company.stage)
        if policy is None:
            raise BadInput.of(f"{where}.stage", company.stage, f"No policy for {company.stage}")
        limits = self.constraints
        years = limits.graduation_years.get(company.stage, DEFAULT_YEARS)
        probability = limits.graduation_probability.get(company.stage, DEFAULT_GRADUATION_PROBABILITY)
        discount = _discount_factor(limits.discount_rate_annual, years, company.stage)
        score = policy.reserve_multiple * probability / discount * policy.weight
        return _finite(f"stage_policies.{company.stage}", score)

    def _check_amounts(self, available_reserves_usd: float, companies: Sequence[ReserveCompany]) -> None:
        limits = self.constraints
        amounts: dict[str, float | None] = {
            "available_reserves_usd": available_reserves_usd,
            "constraints.min_check_usd": limits.min_check_usd,
            "constraints.max_per_company_usd": limits.max_per_company_usd,
            **{f"constraints.max_per_stage_usd.{stage}": cap for stage, cap in limits.max_per_stage_usd.items()},
            **{f"companies[{i}].min_check_usd": company.min_check_usd for i, company in enumerate(companies)},
        }
        problems = [
            FieldProblem(name, amount, "must be a finite amount in USD, at least 0")
            for name, amount in amounts.items()
            if amount is not None and not (math.isfinite(amount) and amount >= 0.0)
        ]
        if problems:
            raise BadInput(problems)


def _discount_factor(rate: float, years: float, stage: str) -> float:
    """(1 + rate)^years. Raises BadInput where that is not a finite number above 0."""
    try:
        factor = math.pow(1.0 + rate, years)
    except (OverflowError, ValueError):
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0.0):
        rule = f"(1 + rate)^years must be finite and above 0; it is not for stage {stage} with {years:g} years"
        raise BadInput.of("constraints.discount_rate_annual", rate, rule)
    return factor


def _finite(name: str, score: float) -> float:
    if not math.isfinite(score):
        raise BadInput.of(name, score, "the score must be a finite number")
    return score
