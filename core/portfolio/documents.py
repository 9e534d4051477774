"""What an optimization leaves behind as JSON documents, and the way back from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.arrays import FloatArray
from core.errors import InvalidAllocation
from core.portfolio.conflict import ConflictExplanation
from core.portfolio.dollars import WholeDeals, dollars, whole_deals
from core.portfolio.limits import Limits
from core.portfolio.optimize import Optimum
from core.portfolio.relax import RelaxedBound
from core.portfolio.report import ConstraintStatus
from core.portfolio.shadow_prices import ShadowPrice
from core.request.normalized_config import NormalizedConfig, WeightBounds
from core.stages import Stage


def allocation_document(config: NormalizedConfig, weights: FloatArray) -> list[dict[str, Any]]:
    """One entry a bucket, in bucket-key order: weight, dollars that add up to the fund in cents, whole deals."""
    cents = dollars(weights, config.total_fund_size_usd)
    deals = whole_deals(weights, config)
    return [
        {
            "bucketId": bucket.bucket_id,
            "stage": bucket.stage.value,
            "sector": bucket.sector,
            "weight": float(weight),
            "dollarAmount": int(amount) / 100,
            "dealCount": int(count),
            "avgCheckSize": bucket.initial_check_usd,
            "reserveRatio": bucket.reserve_ratio,
            "allInCostPerDeal": bucket.all_in_cost_usd,
        }
        for bucket, weight, amount, count in zip(config.buckets, weights, cents, deals.counts, strict=True)
    ]


def weights_from(allocation: Sequence[Mapping[str, Any]], config: NormalizedConfig) -> FloatArray:
    """The weights of a stored allocation, shape (B,).

    Raises InvalidAllocation when it is not one of these buckets, or places no capital at all.
    """
    if [entry["bucketId"] for entry in allocation] != [bucket.bucket_id for bucket in config.buckets]:
        raise InvalidAllocation("the stored allocation does not list the configured buckets in their order")
    weights = np.array([float(entry["weight"]) for entry in allocation])
    if not weights.sum() > 0:
        raise InvalidAllocation(f"the stored weights sum to {weights.sum():g}; they must sum to 1")
    return weights


def deals_from(allocation: Sequence[Mapping[str, Any]], config: NormalizedConfig) -> WholeDeals:
    """What the stored weights buy. Raises InvalidAllocation when the stored deals say otherwise."""
    deals = whole_deals(weights_from(allocation, config), config)
    if [int(entry["dealCount"]) for entry in allocation] != deals.counts.tolist():
        raise InvalidAllocation("the stored deals are not those that the stored weights buy")
    return deals


def solver_document(optimum: Optimum) -> dict[str, Any]:
    """Figures, constraint report, relaxations and why they were needed, enforced limits, the audit of the solve."""
    figures = optimum.figures
    return {
        "figures": {
            "expectedMoic": figures.expected_moic,
            "lossProbability": figures.loss_probability,
            "lossCount": figures.loss_count,
            "cvar": figures.cvar,
            "expectedWinners": figures.expected_winners,
        },
        "constraints": [_constraint(status) for status in optimum.constraints],
        "relaxations": [
            _relaxation(bound) | {"explanation": explanation}
            for bound, explanation in zip(optimum.relaxations, optimum.explanations, strict=True)
        ],
        "conflict": None if optimum.conflict is None else _conflict(optimum.conflict),
        "limits": _limits_document(optimum.limits),
        "solver": _finite(optimum.audit),
    }


def limits_from(document: Mapping[str, Any]) -> Limits:
    """The enforced limits of a stored solver document."""
    limits = document["limits"]
    return Limits(
        **{
            **limits,
            "sector_bounds": {name: WeightBounds(**bounds) for name, bounds in limits["sector_bounds"].items()},
            "stage_bounds": {Stage(name): WeightBounds(**bounds) for name, bounds in limits["stage_bounds"].items()},
        }
    )


def _limits_document(limits: Limits) -> dict[str, Any]:
    document = asdict(limits)
    document["sector_bounds"] = {name: bounds.model_dump() for name, bounds in limits.sector_bounds.items()}
    document["stage_bounds"] = {stage.value: bounds.model_dump() for stage, bounds in limits.stage_bounds.items()}
    return document


def _finite(value: Any) -> Any:
    """JSON has no infinity: a bound that is not known yet is null."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _constraint(status: ConstraintStatus) -> dict[str, Any]:
    return {
        "constraintId": status.constraint_id,
        "type": status.type,
        "required": status.required,
        "actual": status.actual,
        "slack": status.slack,
        "satisfied": status.satisfied,
        "binding": status.binding,
        "relaxedFrom": status.relaxed_from,
        "price": None if status.price is None else _price(status.price),
    }


def _price(price: ShadowPrice) -> dict[str, Any]:
    return {
        "basis": price.basis,
        "gainPerUnit": price.gain_per_unit,
        "step": price.step,
        "gain": price.gain,
        "gainAtLeast": price.gain_at_least,
        "gainAtMost": price.gain_at_most,
    }


def _conflict(conflict: ConflictExplanation) -> dict[str, Any]:
    return {
        "constraints": list(conflict.constraints),
        "waysOut": [
            {
                "constraintId": way.constraint_id,
                "asked": way.asked,
                "proven": way.proven,
                "achieved": way.achieved,
                "explanation": sentence,
            }
            for way, sentence in zip(conflict.single_limit_repairs, conflict.sentences, strict=True)
        ],
    }


def _relaxation(bound: RelaxedBound) -> dict[str, Any]:
    return {
        "constraintId": bound.constraint_id,
        "constraintType": bound.type,
        "direction": bound.direction,
        "oldValue": bound.old,
        "newValue": bound.new,
        "violation": bound.class_violation,
        "provenViolation": bound.class_proven,
    }
