"""In which order the points of a frontier are solved, and what they learn from each other.

Only one limit varies, so the portfolios that a tighter value admits are admitted by every looser one, too. Hence what a
tighter point found is an answer to start from, and what a looser one proved (a bound, that there is none) holds here.
Points are ranked from the tightest, 0, to the loosest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.arrays import FloatArray
from core.frontier.point import FrontierPoint


def waves(count: int) -> list[list[int]]:
    """Ranks to solve at the same time, wave after wave: both ends, then the middle of every gap. Each rank once.

    The order is always the same, so that answers do not depend on how many are solved at once.
    """
    order = [[0, count - 1] if count > 1 else list(range(count))]
    gaps = [(0, count - 1)]
    while gaps := [gap for gap in gaps if gap[1] - gap[0] > 1]:
        middles = [(low + high) // 2 for low, high in gaps]
        order.append(middles)
        gaps = [
            half for (low, high), middle in zip(gaps, middles, strict=True) for half in ((low, middle), (middle, high))
        ]
    return order


def start_for(rank: int, solved: Mapping[int, FrontierPoint]) -> FloatArray | None:
    """First-pass weights (B,) of the nearest tighter point, which are feasible here; else of the nearest looser one."""
    known = [other for other, point in solved.items() if point.first_weights is not None]
    tighter = [other for other in known if other < rank]
    looser = [other for other in known if other > rank]
    nearest = max(tighter) if tighter else min(looser) if looser else None
    return None if nearest is None else solved[nearest].first_weights


def excluded(rank: int, solved: Mapping[int, FrontierPoint]) -> bool:
    """Whether a looser point is proven to admit no portfolio, so that this one does not, either."""
    return any(other > rank and point.status == "infeasible" for other, point in solved.items())


def certified(points: list[FrontierPoint], relative_gap: float) -> list[FrontierPoint]:
    """Each point with the least bound that it or a looser one has proven; points: by rank, all of them."""
    least = float("inf")
    shared: list[FrontierPoint] = []
    for point in reversed(points):
        if point.status == "infeasible":
            least = float("-inf")
        elif point.bound is not None:
            least = min(least, point.bound)
        shared.append(_with_bound(point, least, relative_gap))
    return shared[::-1]


def _with_bound(point: FrontierPoint, bound: float, relative_gap: float) -> FrontierPoint:
    if point.status == "infeasible":
        return point
    if bound == float("-inf"):
        return FrontierPoint.infeasible(point.value)
    if point.objective is None:
        return replace(point, bound=bound if bound < float("inf") else None)
    gap = max(0.0, bound - point.objective) / max(abs(point.objective), 1e-12)
    closed = point.status == "optimal" or gap <= relative_gap
    return replace(point, bound=bound, gap=gap, status="optimal" if closed else "feasible")
