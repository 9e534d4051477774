"""`vcfolio realism`: simulated deals and funds of a reference calibration beside published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.errors import BadInput
from core.external_validation.comparison import Comparison, FundQuantiles, compare
from core.external_validation.published import DEALS_SOURCE, ROUNDS_SOURCE
from db.reference_calibrations import reference_calibrations
from deployments.cli import terminal
from deployments.cli.arguments import AsJson
from deployments.cli.output_file import PictureKind, picture_kind, write_whole

CAVEAT = (
    "The published figures conflict in level: after fees, funds made of deals as the first source has them return less "
    "than the funds of the other sources. The model is fitted to the deals, so read its level with that in mind."
)


def realism(
    model: Annotated[
        str, typer.Option(help="Scenario model; its reference calibration is used.")
    ] = "three_component_v2",
    chart: Annotated[Path | None, typer.Option(help="Also draw it: a file that ends in .svg or .png.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Raises BadInput for a model without a reference calibration, and for a chart that cannot be written."""
    kind = None if chart is None else picture_kind(chart)
    fitted = {str(snapshot.exit_outcomes_fitted_for): snapshot for snapshot in reference_calibrations()}
    if model not in fitted:
        raise BadInput.of("--model", model, f"must be one of {', '.join(sorted(fitted))}")
    comparison = compare(model, fitted[model])
    if chart is not None and kind is not None:
        _write(chart, comparison, kind)
    if as_json:
        sources = {"deals": DEALS_SOURCE, "mixOfStages": ROUNDS_SOURCE}
        terminal.print_json(comparison.as_json() | {"sources": sources, "caveat": CAVEAT})
    else:
        _show(comparison)


def _write(chart: Path, comparison: Comparison, kind: PictureKind) -> None:
    from core.charts.external_validation import external_validation_chart  # noqa: PLC0415 - matplotlib, only where a chart is wanted

    picture = external_validation_chart(comparison, kind)
    write_whole(chart, "--chart", lambda draft: draft.write_bytes(picture))
    terminal.say(f"chart: {chart}")


def _show(comparison: Comparison) -> None:
    deals = Table(title=f"Deals: {comparison.model} on {comparison.calibration}", title_justify="left")
    deals.add_column("gross multiple")
    for name in ("published", "simulated", "standard error", "difference, points"):
        deals.add_column(name, justify="right")
    for deal in comparison.deals:
        deals.add_row(
            deal.range.label,
            f"{deal.range.share:.1%}",
            f"{deal.simulated:.2%}",
            f"{deal.error:.2%}",
            f"{100 * (deal.simulated - deal.range.share):+.2f}",
        )
    terminal.output.print(deals)
    terminal.output.print(f"Kullback-Leibler divergence {comparison.divergence:.6f} nat per deal.", markup=False)
    terminal.output.print(_funds_table(comparison))
    for line in (f"Deals: {DEALS_SOURCE}.", f"Mix of stages: {ROUNDS_SOURCE}.", CAVEAT):
        terminal.output.print(line, markup=False)
    for source in dict.fromkeys(fund.source for fund in comparison.published_funds):
        terminal.output.print(f"Funds: {source}.", markup=False)


def _funds_table(comparison: Comparison) -> Table:
    funds = Table(title="Funds: multiples (published: net TVPI)", title_justify="left")
    funds.add_column("")
    for name in ("lower quartile", "median", "upper quartile", "90th percentile", "upper / lower", "90th / median"):
        funds.add_column(name, justify="right")
    for simulated in (comparison.gross, comparison.net):
        values = (simulated.lower, simulated.median, simulated.upper, simulated.p90)
        funds.add_row(simulated.label, *_with_errors(simulated), *_ratios(*values))
    for fund in comparison.published_funds:
        shown = ["" if value is None else f"{value:.2f}x" for value in (fund.lower, fund.median, fund.upper, fund.p90)]
        funds.add_row(f"published, {fund.label}", *shown, *_ratios(fund.lower, fund.median, fund.upper, fund.p90))
    return funds


def _with_errors(fund: FundQuantiles) -> list[str]:
    values = (fund.lower, fund.median, fund.upper, fund.p90)
    return [f"{value:.2f}x ± {error:.2f}" for value, error in zip(values, fund.errors, strict=True)]


def _ratios(lower: float | None, median: float, upper: float | None, p90: float | None) -> tuple[str, str]:
    quartiles = "" if lower is None or upper is None else f"{upper / lower:.2f}"
    return quartiles, "" if p90 is None else f"{p90 / median:.2f}"
