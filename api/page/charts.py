"""Pictures of a completed session, which never changes again, and the numbers that stand beside them."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from sqlalchemy import Engine

from core.arrays import FloatArray
from core.errors import CorruptMatrix
from core.formatting import multiple, percent
from core.matrix.key import simulation_inputs
from core.result.charts.portfolio import holdings_of, multiples_chart
from core.result.charts.regimes import regime_returns_of, regimes_chart
from core.result.charts.treemap import treemap_chart
from core.solver.feasibility import loss_count
from db.engine import transaction
from db.matrices import read_reference
from db.matrix_values import load_matrix
from db.results import session_result, stored_allocation, stored_weights
from db.session_rows import SessionRow

ChartName = Literal["treemap", "multiples", "regimes"]
NAMES: tuple[ChartName, ...] = get_args(ChartName)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def chart(name: ChartName, session: SessionRow, multiples: FloatArray | None) -> bytes | None:
    """As SVG. multiples: see `portfolio_multiples`. None where what it would show is not there."""
    if name == "treemap":
        return treemap_chart(holdings_of(stored_allocation(session)))
    if name == "multiples":
        return None if multiples is None else multiples_chart(multiples, winner_multiple_of(session))
    bought = session_result(session).validation.whole_deals.out_of_sample
    if not bought.by_regime:
        return None
    return regimes_chart(regime_returns_of(bought.by_regime), loss_limit=bought.loss_probability.limit)


def winner_multiple_of(session: SessionRow) -> float:
    """What makes a deal a winner in the session's scenarios."""
    return simulation_inputs(session.matrix_key_json).winner_multiple


def portfolio_multiples(engine: Engine, session: SessionRow) -> FloatArray | None:
    """(n_scenarios,), on the matrix that the session was optimized on; None where that one is no longer stored."""
    with transaction(engine) as conn:
        reference = read_reference(conn, session.matrix_key)
    if reference is None or reference.generation != session.matrix_generation or session.allocation is None:
        return None
    try:
        matrix = load_matrix(engine, reference)
    except CorruptMatrix:  # deleted meanwhile, or damaged: the next session that needs it generates it again
        return None
    found: FloatArray = stored_weights(session) @ matrix.moic.astype(np.float64)
    return found


def multiples_rows(multiples: FloatArray) -> tuple[tuple[str, str], ...]:
    """The distribution in words, for readers who cannot see the picture."""
    rows = [
        (f"{percent(q, 0)} of scenarios return at most", multiple(float(np.quantile(multiples, q)))) for q in QUANTILES
    ]
    rows.append(("Scenarios that lose money", percent(loss_count(multiples) / multiples.size)))
    return tuple(rows)
