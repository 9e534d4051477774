"""What the stakes that were sold returned, by the stage they were bought at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from core.arrays import FloatArray
from core.calibration.history import History
from core.stages import Stage


@dataclass(frozen=True, slots=True)
class RealisedMultiples:
    """log_multiples: (n_exits,), of proceeds / amount invested. sectors: (n_exits,), each company's."""

    log_multiples: FloatArray
    sectors: tuple[str, ...]


NO_MULTIPLES = RealisedMultiples(np.array([]), ())


def realised_multiples(history: History) -> dict[Stage, RealisedMultiples]:
    """By stage, for stages with stakes that were sold up to the as-of date with proceeds and a known amount above 0.

    A stake that is sold for nothing is a failure and not among the exits that these are the multiples of. Realised
    multiples are after whatever dilution there was between purchase and sale.
    """
    sold = (
        history.rounds.filter(
            (pl.col("disposal_date") <= history.as_of)
            & (pl.col("disposal_proceeds_usd") > 0)
            & (pl.col("amount_usd") > 0)
        )
        .join(history.companies.select("company_id", "sector"), on="company_id")
        .with_columns((pl.col("disposal_proceeds_usd") / pl.col("amount_usd")).log().alias("log_multiple"))
        .sort("company_id", "date", "disposal_date", "log_multiple")
    )
    found = {}
    for stage in Stage:
        at = sold.filter(pl.col("stage") == stage.value)
        if not at.is_empty():
            found[stage] = RealisedMultiples(
                at["log_multiple"].to_numpy().astype(np.float64), tuple(at["sector"].to_list())
            )
    return found
