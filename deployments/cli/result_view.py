"""A session's result as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from core.figures import FIGURES
from core.portfolio.uniqueness_sentence import uniqueness_sentence
from db.results import session_result
from db.sessions import SessionRow

SHOWN_WEIGHT = 5e-5
"""Weights that would be printed as 0.00% are summed up in one line."""

BUCKET_COLUMNS = ("mean MOIC", "median", "90% below", "loses money", "winners")
"""Of a bucket alone, in the matrix's scenarios."""

PROVEN_GAIN = 5e-5
"""An interval narrower than what is printed is no news."""


def render_result(session: SessionRow, console: Console) -> None:
    """Allocation, figures in and out of sample, constraints, and how good the answer is proven to be."""
    result = session_result(session)
    console.print(allocation_table(result["allocation"], result["validation"].get("bucketStats")))
    console.print(_figures_table(result))
    if "byRegime" in result["validation"]["outOfSample"]:  # not in results of version 0.1.0
        console.print(regimes_table(result["validation"]["wholeDeals"]["outOfSample"]["byRegime"]))
    console.print(constraints_table(result["constraints"]))
    lines = (
        *price_lines(result["constraints"], result["solver"]),
        *relaxation_lines(result["relaxations"], result["conflict"]),
        *proof_lines(result),
        *_validation_lines(result["validation"]),
        *_closing_lines(session, result),
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def allocation_table(
    allocation: list[Mapping[str, Any]], bucket_stats: Sequence[Mapping[str, Any]] | None = None
) -> Table:
    """bucket_stats: what the matrix says of each bucket alone; None where the result, of an older version, has none."""
    stats = {entry["bucketId"]: entry for entry in bucket_stats or ()}
    table = Table(title="Allocation", title_justify="left")
    table.add_column("bucket")
    for name in ("weight", "dollars", "deals", *(BUCKET_COLUMNS if stats else ())):
        table.add_column(name, justify="right")
    held = [entry for entry in allocation if entry["weight"] >= SHOWN_WEIGHT]
    for entry in sorted(held, key=lambda entry: (-entry["weight"], entry["bucketId"])):
        table.add_row(
            entry["bucketId"],
            f"{entry['weight']:.2%}",
            f"{entry['dollarAmount']:,.2f}",
            str(entry["dealCount"]),
            *(bucket_cells(stats[entry["bucketId"]]) if stats else ()),
        )
    rest = [entry for entry in allocation if entry["weight"] < SHOWN_WEIGHT]
    if rest:
        dollars = sum(entry["dollarAmount"] for entry in rest)
        table.add_row(f"{len(rest)} others", f"{sum(e['weight'] for e in rest):.2%}", f"{dollars:,.2f}", "0")
    table.add_section()
    total = sum(entry["dollarAmount"] for entry in allocation)
    table.add_row("total", "100.00%", f"{total:,.2f}", str(sum(entry["dealCount"] for entry in allocation)))
    return table


def bucket_cells(stats: Mapping[str, Any]) -> tuple[str, ...]:
    """One for each of BUCKET_COLUMNS."""
    error = "" if stats["standardError"] is None else f" ± {stats['standardError']:.2f}"
    return (
        f"{stats['meanMoic']:.2f}x{error}",
        f"{stats['medianMoic']:.2f}x",
        f"{stats['p90Moic']:.2f}x",
        f"{stats['lossShare']:.1%}",
        f"{stats['winProbability']:.1%}",
    )


def _figures_table(result: Mapping[str, Any]) -> Table:
    """Each figure on the scenarios it was chosen on, and on fresh ones for the weights and for the whole deals."""
    validation = result["validation"]
    errors = validation.get("standardErrors", {})
    fresh, deals = validation["outOfSample"], validation["wholeDeals"]["outOfSample"]
    title = (
        "Expected outcome (± standard error); "
        f"fresh: {fresh['scenarios']:,} scenarios that the answer was not chosen on, 95% intervals"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("limit", "in sample", "fresh"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("holds?")
    table.add_column("fresh, whole deals", justify="right", overflow="fold")
    table.add_column("holds?")
    for each in FIGURES:
        table.add_row(
            each.label,
            each.limit(fresh[each.name]),
            each.with_error(result[each.name], errors.get(each.name)),
            each.with_interval(fresh[each.name]),
            holds(fresh[each.name]),
            each.with_interval(deals[each.name]),
            holds(deals[each.name]),
        )
    return table


def holds(figure: Mapping[str, Any]) -> str:
    said: str = figure.get("holdsOutOfSample", "").replace("_", " ")
    needed = figure.get("scenariosToSettle")
    return said if needed is None else f"{said}; {needed:,} scenarios would tell"


def regimes_table(by_regime: Sequence[Mapping[str, Any]]) -> Table:
    """The whole deals within each state of the economy."""
    table = Table(title="Whole deals by state of the economy, fresh scenarios (± standard error)", title_justify="left")
    table.add_column("economy")
    for heading in ("probability", "scenarios", *(each.label for each in FIGURES)):
        table.add_column(heading, justify="right")
    for entry in by_regime:
        figures = entry["figures"]
        if figures is None:
            table.add_row(entry["regime"], f"{entry['probability']:.4g}", "0", *["-"] * len(FIGURES))
            continue
        cells = [each.with_error(figures[each.name], figures["standardErrors"][each.name]) for each in FIGURES]
        table.add_row(entry["regime"], f"{entry['probability']:.4g}", f"{figures['scenarios']:,}", *cells)
    return table


def constraints_table(constraints: list[Mapping[str, Any]]) -> Table:
    table = Table(title="Constraints", title_justify="left")
    table.add_column("constraint")
    for name in ("required", "actual", "slack"):
        table.add_column(name, justify="right")
    table.add_column("")
    for entry in constraints:
        remarks = []
        if not entry["satisfied"]:
            remarks.append("NOT MET")
        if entry["relaxedFrom"] is not None:
            remarks.append(f"RELAXED from {entry['relaxedFrom']:.4g}")
        if entry["binding"]:
            remarks.append("binding")
        style = "yellow" if entry["relaxedFrom"] is not None else ("bold" if entry["binding"] else "")
        table.add_row(
            entry["constraintId"],
            f"{entry['required']:.4f}",
            f"{entry['actual']:.4f}",
            f"{round(entry['slack'], 4) + 0.0:+.4f}",
            ", ".join(remarks),
            style=style,
        )
    return table


def relaxation_lines(relaxations: list[Mapping[str, Any]], conflict: Mapping[str, Any] | None) -> list[str]:
    """What gave way and why; then each way in which the limits that conflict could be met."""
    if not relaxations:
        return []
    lines = ["No portfolio meets every limit as asked. These gave way, the least sacred first:"]
    for entry in relaxations:
        line = f"  {entry['constraintId']}: {entry['oldValue']:.6g} -> {entry['newValue']:.6g}"
        if entry["provenViolation"] < entry["violation"] - 1e-6:
            line += f" (at least {entry['provenViolation']:.3g} is needed; {entry['violation']:.3g} was found)"
        lines.append(line)
    sentences = [entry["explanation"] for entry in relaxations]
    lines += [f"  {sentence}" for sentence in dict.fromkeys(sentences)]
    if conflict is not None:
        lines.append(f"The conflict: {', '.join(conflict['constraints'])}.")
        others = [way["explanation"] for way in conflict["waysOut"] if way["explanation"] not in sentences]
        lines += [f"  {sentence}" for sentence in others]
    return lines


def price_lines(constraints: list[Mapping[str, Any]], solver: Mapping[str, Any]) -> list[str]:
    """What each limit costs, in the step that people move it by."""
    priced = [entry for entry in constraints if entry["price"] is not None]
    lines = []
    if priced:
        lines.append("What loosening a limit would bring, in expected MOIC:")
        lines += [f"  {entry['constraintId']}: {_price(entry)}" for entry in priced]
    if solver.get("pricesComplete") is False:
        lines.append("  not every price was settled within the work limit")
    return lines


def _price(entry: Mapping[str, Any]) -> str:
    price = entry["price"]
    if price["basis"] == "one_more_losing_scenario":
        text = f"{price['gain']:+.4f}x for one more losing scenario"
        if price["gainAtMost"] - price["gainAtLeast"] > PROVEN_GAIN:
            text += f" (proven: {price['gainAtLeast']:.4f} to {price['gainAtMost']:.4f})"
        return text
    winners = entry["type"] == "expected_winners_min"
    step = f"{price['step']:g} expected winners" if winners else f"{100 * price['step']:g} percentage point"
    return f"{price['gain']:+.4f}x for {step} looser, the same scenarios losing"


def proof_lines(result: Mapping[str, Any]) -> list[str]:
    solver = result["solver"]
    lines = [
        (
            f"Best expected MOIC on these scenarios {result['pass1EStar']:.6f}, "
            f"proven to be within {solver['gap']:.4%} of the optimum ({solver['backend']}, {solver['nodes']:,} nodes)."
        )
    ]
    if solver["status"] != "optimal":
        lines.append("The work limit struck before the proof was closed; raise workLimit for a smaller gap.")
    if not solver["tieBreak"]["proven"]:
        lines.append(
            "The tie-break was not proven to be the nearest to equal weights; it keeps every limit all the same."
        )
    unique = uniqueness_sentence(solver["tieBreak"])
    if unique is not None:
        lines.append(unique)
    if not solver["reproducible"]:
        lines.append("A time limit cut the solve short: this answer is not reproducible.")
    return lines


def _validation_lines(validation: Mapping[str, Any]) -> list[str]:
    lines = []
    broken = validation["wholeDeals"]["boundViolations"]
    if broken:
        amounts = ", ".join(f"{name} by {amount:.4f}" for name, amount in broken.items())
        lines.append(f"Bought as whole deals the portfolio breaks {amounts}.")
    gap = validation["outOfSample"]["optimismGap"]
    error = validation["outOfSample"]["expectedMoic"]["standardError"]
    lines.append(
        f"Optimism gap: the in-sample expectation is {gap:+.3f}x from that of fresh scenarios, "
        f"which is known to ± {error:.3f}x."
    )
    scenarios = validation["outOfSample"]["scenarios"]
    return lines + rival_lines(validation.get("rivals", []), scenarios)


_RIVALS = {"equal_weights": "equal weights", "greedy": "the greedy portfolio"}


def rival_lines(comparison_portfolios: list[Mapping[str, Any]], scenarios: int) -> list[str]:
    lines = []
    for rival in comparison_portfolios:
        name, keeps = _RIVALS[rival["name"]], "keep" if rival["name"] == "equal_weights" else "keeps"
        limits = f"which {keeps} every limit" if rival["feasible"] else f"which {keeps.replace('keep', 'break')} limits"
        line = (
            f"Against {name}, {limits}: {rival['difference']:+.3f}x ± {rival['standardError']:.3f}x in the same fresh "
            "scenarios."
        )
        if rival["withinNoise"]:
            line = f"WARNING: within the noise of {name}. {line}"
        elif rival["difference"] < 0 and rival["feasible"]:
            line = f"WARNING: worse than {name} in scenarios that neither was chosen on. {line}"
        needed = rival["scenariosToSettle"]
        if needed is not None and needed > scenarios:
            line += f" About {needed:,} scenarios would show such a difference."
        lines.append(line)
    return lines


def _closing_lines(session: SessionRow, result: Mapping[str, Any]) -> list[str]:
    timings = ", ".join(f"{name} {value:.2f} s" for name, value in result["timings"].items() if value is not None)
    return [
        f"Matrix {result['matrixKey']}: {result['matrixCache']}. {timings}.",
        f"Session {session.session_id}; all of it: vcfolio result {session.session_id} --json",
    ]
