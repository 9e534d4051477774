"""Every figure of a result again, from the matrix file and the request alone, in plain Python and exact fractions."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

CLOSE = 1e-9
AT_LEAST = {"expected_winners_min", "sector_min_weight", "stage_min_weight"}


@dataclass(frozen=True)
class Matrix:
    """rows: key, stage, sector, initial_check_usd, reserve_ratio, win_probability and moic of each bucket."""

    rows: list[dict[str, Any]]

    def multiples(self, weights: list[float], cash: float = 0.0) -> list[float]:
        """What the portfolio returns in each scenario."""
        columns = zip(*(row["moic"] for row in self.rows), strict=True)
        return [math.fsum([cash, *(w * m for w, m in zip(weights, column, strict=True))]) for column in columns]

    def costs(self) -> list[float]:
        return [row["initial_check_usd"] * (1 + row["reserve_ratio"]) for row in self.rows]


def read_matrix(path: Path) -> Matrix:
    return Matrix(pq.read_table(path).to_pylist())


def mean(multiples: list[float]) -> float:
    return math.fsum(multiples) / len(multiples)


def loss_share(multiples: list[float]) -> float:
    return sum(multiple < 1 - 1e-9 for multiple in multiples) / len(multiples)


def cvar(multiples: list[float], confidence: float = 0.95) -> float:
    """By filling the tail from the worst scenario on, the last one in part."""
    tail = left = (1 - confidence) * len(multiples)
    total = 0.0
    for multiple in sorted(multiples):
        share = min(1.0, left)
        total += share * max(0.0, 1 - multiple)
        left -= share
        if left <= 0:
            break
    return total / tail


def winners(weights: list[float], matrix: Matrix, fund: float) -> float:
    return math.fsum(
        w * fund / cost * row["win_probability"]
        for w, cost, row in zip(weights, matrix.costs(), matrix.rows, strict=True)
    )


def check_figures(said: dict[str, Any], matrix: Matrix, weights: list[float], cash: float, fund: float) -> None:
    multiples = matrix.multiples(weights, cash)
    assert said["expectedMoic"] == pytest.approx(mean(multiples), abs=CLOSE)
    assert said["lossProbability"] == loss_share(multiples)
    assert said["cvar"] == pytest.approx(cvar(multiples), abs=CLOSE)
    assert said["expectedWinners"] == pytest.approx(winners(weights, matrix, fund), abs=CLOSE)


def check_allocation(result: dict[str, Any], matrix: Matrix, request: dict[str, Any]) -> None:
    allocation, fund = result["allocation"], request["totalFundSize"]
    for entry, row in zip(allocation, matrix.rows, strict=True):
        assert (entry["bucketId"], entry["stage"], entry["sector"]) == (row["key"], row["stage"], row["sector"])
    weights = [entry["weight"] for entry in allocation]
    assert min(weights) >= 0
    assert math.fsum(weights) == pytest.approx(1, abs=1e-12)
    check_figures(result, matrix, weights, 0.0, fund)
    # By largest remainder no bucket is off its share by a whole cent, and all of them make the fund.
    cents = [round(entry["dollarAmount"] * 100) for entry in allocation]
    fund_cents = round(fund * 100)
    assert sum(cents) == fund_cents
    total = sum(Fraction(w) for w in weights)
    assert all(abs(cent - Fraction(w) * fund_cents / total) < 1 for cent, w in zip(cents, weights, strict=True))


def check_whole_deals(result: dict[str, Any], matrix: Matrix, request: dict[str, Any]) -> None:
    deals = result["validation"]["wholeDeals"]
    counts = [entry["dealCount"] for entry in result["allocation"]]
    spent = [round(count * cost * 100) for count, cost in zip(counts, matrix.costs(), strict=True)]
    fund_cents = round(request["totalFundSize"] * 100)
    cash = fund_cents - sum(spent)
    assert (deals["dealCount"], round(deals["uninvestedUsd"] * 100)) == (sum(counts), cash)
    assert 0 <= cash < fund_cents
    for entry, cost in zip(result["allocation"], matrix.costs(), strict=True):
        assert abs(entry["dealCount"] - entry["dollarAmount"] / cost) < 1
    weights = [amount / fund_cents for amount in spent]
    check_figures(deals["inSample"], matrix, weights, cash / fund_cents, request["totalFundSize"])


def check_solver(result: dict[str, Any], matrix: Matrix) -> None:
    """The allocation is within epsilon of the proven best, and as far from equal weights as is said."""
    weights = [entry["weight"] for entry in result["allocation"]]
    solver, tie_break = result["solver"], result["solver"]["tieBreak"]
    equal = 1 / len(weights)
    assert tie_break["deviation"] == pytest.approx(math.fsum(abs(w - equal) for w in weights), abs=1e-6)
    assert tie_break["deviation"] <= tie_break["deviationBound"] + 1e-3 or not tie_break["proven"]
    assert (tie_break["unique"] is False) == (tie_break["witness"] is not None)
    if tie_break["witness"] is not None:
        check_witness(result, matrix)
    assert result["expectedMoic"] >= result["pass1EStar"] - result["primaryLockEpsilon"] - CLOSE
    assert solver["bound"] >= result["pass1EStar"] - CLOSE
    assert solver["gap"] == pytest.approx((solver["bound"] - solver["objective"]) / solver["objective"], abs=CLOSE)


def check_witness(result: dict[str, Any], matrix: Matrix) -> None:
    """Another portfolio, as close to equal weights, as good, that loses in no more scenarios than may lose."""
    tie_break = result["solver"]["tieBreak"]
    other, equal = tie_break["witness"]["weights"], 1 / len(result["allocation"])
    differences = {entry["bucketId"]: w - entry["weight"] for entry, w in zip(result["allocation"], other, strict=True)}
    largest = max(differences, key=lambda bucket: abs(differences[bucket]))
    assert differences[largest] == pytest.approx(tie_break["witness"]["difference"], abs=1e-9)
    assert largest == tie_break["witness"]["bucketId"]
    assert math.fsum(other) == pytest.approx(1.0, abs=1e-12)
    assert math.fsum(abs(w - equal) for w in other) <= tie_break["deviation"] + 1e-6
    multiples = matrix.multiples(other)
    assert math.fsum(multiples) / len(multiples) >= result["pass1EStar"] - result["primaryLockEpsilon"] - 1e-6
    allowed = next(c["required"] for c in result["constraints"] if c["type"] == "p_loss_max")
    assert loss_share(multiples) <= allowed + 1e-9


def check_constraints(result: dict[str, Any], matrix: Matrix, request: dict[str, Any]) -> None:
    weights = [entry["weight"] for entry in result["allocation"]]
    multiples = matrix.multiples(weights)
    actual: dict[str, float] = {
        "p_loss_max": loss_share(multiples),
        "cvar_max": cvar(multiples),
        "expected_winners_min": winners(weights, matrix, request["totalFundSize"]),
        "bucket_max_weight": max(weights),
    }
    asked = {
        "p_loss_max": request["maxLossProbability"],
        "cvar_max": request["cvarLimit"],
        "expected_winners_min": request["minExpectedWinners"],
        "bucket_max_weight": request["bucketMaxWeight"],
    }
    for kind in ("sector", "stage"):
        for name, bounds in request[f"{kind}Bounds"].items():
            total = math.fsum(w for w, row in zip(weights, matrix.rows, strict=True) if row[kind] == name)
            for end, bound in bounds.items():
                actual[f"{kind}_{end}_weight:{name}"] = total
                asked[f"{kind}_{end}_weight:{name}"] = bound
    said = {entry["constraintId"]: entry for entry in result["constraints"]}
    moved = {entry["constraintId"]: entry for entry in result["relaxations"]}
    assert said.keys() == asked.keys()
    assert moved.keys() == {"expected_winners_min"}
    for name, entry in said.items():
        assert entry["actual"] == pytest.approx(actual[name], abs=CLOSE)
        assert entry["relaxedFrom"] == (asked[name] if name in moved else None)
        assert entry["required"] == pytest.approx(moved[name]["newValue"] if name in moved else asked[name], abs=CLOSE)
        assert entry["satisfied"]
        room = (actual[name] - entry["required"]) * (1 if entry["type"] in AT_LEAST else -1)
        assert room >= -1e-6
        assert entry["slack"] == pytest.approx(room, abs=CLOSE)
        if name != "p_loss_max":
            assert entry["binding"] == (abs(room) <= 1e-6 * max(1.0, abs(entry["required"])))
    # A loss more would be one too many: that is what binds, whatever the limit's distance from a whole scenario.
    one_more = actual["p_loss_max"] + 1 / len(multiples)
    assert said["p_loss_max"]["binding"] == (one_more > asked["p_loss_max"] + 1e-12)


def check_bucket_stats(result: dict[str, Any], matrix: Matrix) -> None:
    """Each bucket alone, in the result and beside its multiples in the file."""
    for stats, row in zip(result["validation"]["bucketStats"], matrix.rows, strict=True):
        multiples = row["moic"]
        assert stats["bucketId"] == row["key"]
        assert stats["meanMoic"] == row["mean_moic"] == pytest.approx(mean(multiples))
        assert stats["medianMoic"] == row["median_moic"] == pytest.approx(statistics.median(multiples))
        p90 = statistics.quantiles(multiples, n=10, method="inclusive")[8]
        assert stats["p90Moic"] == row["p90_moic"] == pytest.approx(p90)
        assert stats["lossShare"] == row["loss_share"] == pytest.approx(loss_share(multiples))
        error = statistics.stdev(multiples) / math.sqrt(len(multiples))
        assert stats["standardError"] == row["standard_error"] == pytest.approx(error)
        assert stats["winProbability"] == row["win_probability"]
