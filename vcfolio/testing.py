"""Assertions for the tests of programs that use vcfolio."""

from __future__ import annotations

from collections.abc import Collection

from core.result.model import LimitStatus
from vcfolio.results import Portfolio, Result

DEFAULT_OBJECTIVE_TOLERANCE = 1e-4
"""Relative: the gap within which an optimum is proven by default."""


def assert_same_optimum(
    first: Result, second: Result, *, relative: float = DEFAULT_OBJECTIVE_TOLERANCE, weights: float | None = None
) -> None:
    """That two results are equally good answers to one question: same buckets, same limits as asked and as enforced,
    best expected MOIC alike within `relative`.

    weights: None does not compare them, since an optimum need not be unique; else the largest difference allowed, as a
    fraction of the fund. Raises AssertionError that names what differs.
    """
    one, other = first.document, second.document
    assert first.weights.keys() == second.weights.keys(), "the two results are not about the same buckets"
    limits = [[(limit.constraint_id, limit.asked) for limit in document.verdict.limits] for document in (one, other)]
    assert limits[0] == limits[1], f"the limits as asked differ: {limits[0]} and {limits[1]}"
    for left, right in zip(one.constraints, other.constraints, strict=True):
        apart = abs(left.required - right.required)
        assert apart <= relative * max(1.0, abs(left.required)), (
            f"{left.constraint_id} was enforced at {left.required!r} and at {right.required!r}"
        )
    apart = abs(one.pass1_e_star - other.pass1_e_star)
    allowed = relative * max(abs(one.pass1_e_star), abs(other.pass1_e_star))
    assert apart <= allowed, (
        f"the best expected MOIC differs by {apart:.3g}: {one.pass1_e_star!r} and {other.pass1_e_star!r}"
    )
    if weights is not None:
        bucket, moved = max(
            ((name, abs(weight - second.weights[name])) for name, weight in first.weights.items()),
            key=lambda pair: pair[1],
        )
        assert moved <= weights, f"the weight of {bucket} differs by {moved:.3g}, more than {weights:g}"


def assert_limits_hold(
    result: Result | Portfolio,
    *,
    accept: Collection[LimitStatus] = frozenset({"holds"}),
    limits: Collection[str] | None = None,
) -> None:
    """That what is bought keeps the limits as asked, out of sample.

    accept: which statuses pass; add "within_error" for limits that the scenarios cannot decide. limits: ids such as
    "cvar_max" to look at; None: all of them, and that any deal is bought at all.
    Raises AssertionError with the verdict's own sentences; KeyError for an id that is no limit of the result.
    """
    verdict = result.verdict
    known = {limit.constraint_id: limit for limit in verdict.limits}
    chosen = known.values() if limits is None else [known[name] for name in limits]
    failed = [limit.sentence for limit in chosen if limit.status not in accept]
    if limits is None and verdict.status not in accept and not failed:
        failed = [verdict.sentence]
    assert not failed, "\n".join(failed)
