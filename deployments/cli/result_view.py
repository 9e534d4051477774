"""A result as tables and sentences on a terminal: the verdict first, then what to buy, then why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.formatting import multiple, percent
from core.result.model import (
    Answer,
    BucketFigures,
    Constraint,
    Holding,
    LimitStatus,
    RegimeFigures,
    Result,
    Verdict,
)
from core.result.sentences import (
    comparison_sentences,
    limit_verdict,
    optimism_sentence,
    price_sentences,
    proof_sentences,
    purchase_sentences,
    relaxation_sentences,
    whole_deals_sentence,
)
from core.result.wording import FIGURES, STATUS_WORDS, constraint_limit, constraint_name, constraint_value

SHOWN_WEIGHT = 5e-5
"""Weights that would be printed as 0.00% are summed up in one line."""

BUCKET_COLUMNS = ("mean MOIC", "median", "90% below", "loses money", "winners")
"""Of a bucket alone, in the matrix's scenarios."""

STYLES: dict[LimitStatus, str] = {"holds": "bold green", "within_error": "bold yellow", "broken": "bold red"}


def render_result(result: Result, console: Console) -> None:
    """Verdict, purchases, allocation, figures in and out of sample, limits, and how good the answer is proven to be."""
    validation = result.validation
    print_verdict(result.verdict, console)
    print_purchases(result.allocation, console)
    _print_lines((whole_deals_sentence(validation),), console)
    console.print(allocation_table(result.allocation, validation.bucket_stats))
    console.print(_figures_table(result))
    if validation.whole_deals.out_of_sample.by_regime:
        console.print(regimes_table(validation.whole_deals.out_of_sample.by_regime))
    console.print(constraints_table(result.constraints))
    lines = (
        *explanation_lines(result),
        optimism_sentence(validation.out_of_sample),
        *comparison_sentences(validation.comparison_portfolios, validation.out_of_sample.scenarios),
        *_closing_lines(result),
    )
    _print_lines(lines, console)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Whether what is bought keeps the limits as asked; then each limit that does not clearly, and the notes."""
    word = STATUS_WORDS[verdict.status].upper()
    console.print(Text.assemble((word, STYLES[verdict.status]), ". ", verdict.sentence), soft_wrap=True)
    open_limits = [limit.sentence for limit in verdict.limits if limit.status != "holds"]
    _print_lines([f"  {line}" for line in (*open_limits, *verdict.notes)], console)


def print_purchases(allocation: Sequence[Holding], console: Console) -> None:
    sentences = purchase_sentences(allocation)
    if sentences:
        _print_lines(("Buy:", *(f"  {sentence}" for sentence in sentences)), console)


def explanation_lines(answer: Answer) -> tuple[str, ...]:
    """Shadow prices, relaxations and the proof."""
    return (
        *price_sentences(answer),
        *relaxation_sentences(answer.relaxations, answer.conflict),
        *proof_sentences(answer),
    )


def _print_lines(lines: Iterable[str], console: Console) -> None:
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def allocation_table(allocation: Sequence[Holding], bucket_stats: Sequence[BucketFigures] = ()) -> Table:
    """bucket_stats: what the matrix says of each bucket alone; empty in results of older versions."""
    stats = {entry.bucket_id: entry for entry in bucket_stats}
    table = Table(title="Allocation", title_justify="left")
    table.add_column("bucket")
    for name in ("weight", "dollars", "deals", *(BUCKET_COLUMNS if stats else ())):
        table.add_column(name, justify="right")
    held = [holding for holding in allocation if holding.weight >= SHOWN_WEIGHT]
    for holding in sorted(held, key=lambda holding: (-holding.weight, holding.bucket_id)):
        cells = bucket_cells(stats[holding.bucket_id]) if stats else ()
        table.add_row(holding.bucket_id, *_amounts((holding,)), *cells)
    rest = [holding for holding in allocation if holding.weight < SHOWN_WEIGHT]
    if rest:
        table.add_row(f"{len(rest)} others", *_amounts(rest))
    table.add_section()
    table.add_row("total", *_amounts(allocation))
    return table


def _amounts(holdings: Sequence[Holding]) -> tuple[str, str, str]:
    """Weight, dollars and deals of all of them together."""
    weight = sum(holding.weight for holding in holdings)
    amount = sum(holding.dollar_amount for holding in holdings)
    return percent(weight, 2), f"{amount:,.2f}", f"{sum(holding.deal_count for holding in holdings):,}"


def bucket_cells(stats: BucketFigures) -> tuple[str, ...]:
    """One for each of BUCKET_COLUMNS."""
    error = "" if stats.standard_error is None else f" ± {stats.standard_error:.2f}"
    return (
        f"{multiple(stats.mean_moic)}{error}",
        multiple(stats.median_moic),
        multiple(stats.p90_moic),
        percent(stats.loss_share),
        percent(stats.win_probability),
    )


def _figures_table(result: Result) -> Table:
    """Each figure on the scenarios it was chosen on, and out of sample for the weights and for the whole deals."""
    validation = result.validation
    weights, deals = validation.out_of_sample, validation.whole_deals.out_of_sample
    title = (
        f"Expected outcome (± standard error); out of sample: {weights.scenarios:,} scenarios that the portfolio was "
        "not chosen on, 95% intervals"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("limit as asked", "in sample", "weights, out of sample", "whole deals, out of sample"):
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("limit, by the worse of the two", overflow="fold")
    for figure in FIGURES:
        table.add_row(
            figure.label,
            figure.asked(result.verdict),
            figure.with_error(figure.of(result), figure.error(validation.standard_errors)),
            figure.with_interval(figure.estimate(weights)),
            figure.with_interval(figure.estimate(deals)),
            limit_verdict(result.verdict, figure, validation),
        )
    return table


def regimes_table(by_regime: Sequence[RegimeFigures]) -> Table:
    """The whole deals within each state of the economy."""
    table = Table(title="Whole deals by state of the economy, out of sample (± standard error)", title_justify="left")
    table.add_column("economy")
    for heading in ("probability", "scenarios", *(figure.label for figure in FIGURES)):
        table.add_column(heading, justify="right")
    for entry in by_regime:
        figures = entry.figures
        if figures is None:
            table.add_row(entry.regime, f"{entry.probability:.4g}", "0", *["-"] * len(FIGURES))
            continue
        cells = [figure.with_error(figure.of(figures), figure.error(figures.standard_errors)) for figure in FIGURES]
        table.add_row(entry.regime, f"{entry.probability:.4g}", f"{figures.scenarios:,}", *cells)
    return table


def constraints_table(constraints: Sequence[Constraint]) -> Table:
    table = Table(title="Limits on the scenarios that the portfolio was chosen on, as weights", title_justify="left")
    table.add_column("limit")
    for name in ("enforced", "actual", "slack"):
        table.add_column(name, justify="right")
    table.add_column("")
    for entry in constraints:
        remarks = []
        if not entry.satisfied:
            remarks.append("NOT MET")
        if entry.relaxed_from is not None:
            remarks.append(f"RELAXED from {constraint_limit(entry.type, entry.relaxed_from)}")
        if entry.binding:
            remarks.append("binding")
        style = "yellow" if entry.relaxed_from is not None else ("bold" if entry.binding else "")
        table.add_row(
            Text(constraint_name(entry.constraint_id)),
            constraint_limit(entry.type, entry.required),
            constraint_value(entry.type, entry.actual),
            constraint_value(entry.type, entry.slack),
            ", ".join(remarks),
            style=style,
        )
    return table


def _closing_lines(result: Result) -> list[str]:
    timings = ", ".join(f"{name} {value:.2f} s" for name, value in result.timings.items() if value is not None)
    return [
        f"Matrix {result.matrix_key}: {result.matrix_cache}. {timings}.",
        f"Session {result.session_id}; all of it: vcfolio result {result.session_id} --json",
    ]
