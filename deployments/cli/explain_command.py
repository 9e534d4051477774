"""`vcfolio explain-scenario`: one entry of a request's matrix, company by company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic.alias_generators import to_camel
from rich.table import Table

from core.errors import BadInput
from core.matrix.key import simulation_inputs
from core.request.model_terms import COPULA_MODEL
from core.simulation.three_component_v2.explanation import CompanyExplanation, EntryExplanation, Recycled, explain
from core.simulation.three_component_v2.generation import simulate_block_range
from db.engine import transaction
from db.requests import resolve_request
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, RequestFile
from deployments.cli.request_file import read_request
from deployments.local.services import database

JSON_NAMES = {"ownership_retained": "kept", "idiosyncratic_factor": "ownFactor"}
"""Where the JSON has another name than the field in camel case."""


def explain_scenario(
    request: RequestFile,
    *,
    bucket: Annotated[str, typer.Option(help="Bucket key, e.g. Seed_AI.")],
    scenario: Annotated[int, typer.Option(help="Column of the matrix, 0 for the first.")],
    as_json: AsJson = False,
) -> None:
    """Raises BadInput for a request, bucket or scenario that does not exist, or a model that has no companies."""
    parsed = read_request(request)
    with database(load_settings()) as engine, transaction(engine) as conn:
        normalized = resolve_request(conn, parsed)
    if normalized.config.sim_model_version != COPULA_MODEL:
        rule = f"only {COPULA_MODEL} can be explained company by company"
        raise BadInput.of("modelVersion", normalized.config.sim_model_version, rule)
    inputs = simulation_inputs(normalized.key_document)
    explanation = explain(inputs, bucket, scenario)
    row = [other.key for other in inputs.buckets].index(bucket)
    stored = float(simulate_block_range(inputs, scenario, scenario + 1).moic[row, 0])
    if as_json:
        document = {"matrixKey": inputs.matrix_key, "matrixEntry": stored, "addsUp": stored == explanation.entry}
        terminal.print_json(document | _camel(asdict(explanation)))
    else:
        _show(explanation, stored, inputs.matrix_key)


def _camel(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {JSON_NAMES.get(name, to_camel(name)): _camel(value) for name, value in node.items()}
    return [_camel(value) for value in node] if isinstance(node, Sequence) and not isinstance(node, str) else node


def _show(explanation: EntryExplanation, stored: float, matrix_key: str) -> None:
    bucket = explanation.bucket
    _line(f"{bucket.key} in scenario {explanation.scenario} of matrix {matrix_key}")
    _line(
        f"Regime {explanation.regime}: shock {explanation.regime_shock:+.4f}, {explanation.regime_factor:+.3f} "
        f"standard deviations; factor of {bucket.sector} {explanation.sector_factor:+.3f}; "
        f"together T = {explanation.common:+.4f}."
    )
    _line(
        f"A company fails with chance {explanation.failure_chance:.1%} here, "
        f"{explanation.calibrated_failure_chance:.1%} over all scenarios."
    )
    terminal.output.print(_companies_table("Companies; amounts per dollar of the first check", explanation.companies))
    weight = sum(company.weight for company in explanation.companies)
    _line(
        f"Mean by check size: sum of weight x MOIC / sum of weights ({weight!r}) = {explanation.before_recycling!r}"
        f"{' (nothing recycled)' if explanation.recycled is None else ''}"
    )
    if explanation.recycled is not None:
        _show_recycled(explanation, explanation.recycled)
    _line(f"As float32: {explanation.entry!r}; the matrix holds {stored!r}: {_verdict(explanation, stored)}.")


def _show_recycled(explanation: EntryExplanation, recycled: Recycled) -> None:
    terminal.output.print(_companies_table("Bought with recycled proceeds, equal parts", recycled.companies))
    _line(
        f"Recycled: {explanation.before_recycling!r} - {recycled.withheld!r} + {recycled.withheld!r} x "
        f"{recycled.cash_multiple!r} x {recycled.mean_moic!r} = {explanation.moic!r}"
    )


def _verdict(explanation: EntryExplanation, stored: float) -> str:
    return "the same to the last bit" if stored == explanation.entry else "NOT the same"


def _companies_table(title: str, companies: tuple[CompanyExplanation, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("#", "check, USD", "weight"):
        table.add_column(name, justify="right")
    table.add_column("path")
    for name in ("rank", "exit", "x ownership", "= first check", "+ follow-ons", "+ unspent", "MOIC"):
        table.add_column(name, justify="right")
    for company in companies:
        table.add_row(
            str(company.number),
            f"{company.check_usd:,.0f}",
            f"{company.weight:.4f}",
            _path(company),
            "" if company.rank is None else f"{company.rank:.1%}",
            "" if company.exit_multiple is None else f"{company.exit_multiple:.3f}x",
            "" if company.exit_multiple is None else f"{company.ownership_retained:.4f}",
            f"{company.first_check_returned:.4f}",
            "\n".join(
                f"{t.stage} {t.invested:.3f} x {t.multiple:.3f} x {t.ownership_retained:.3f}"
                for t in company.follow_ons
            ),
            f"{company.unspent:.4f}",
            f"{company.moic:.4f}x",
        )
    return table


def _path(company: CompanyExplanation) -> str:
    rounds = {0: "", 1: "1 graduation, "}.get(company.graduations, f"{company.graduations} graduations, ")
    return f"{rounds}{'exits' if company.exits else 'fails'} at {company.last_stage}"


def _line(text: str) -> None:
    terminal.output.print(text, markup=False, soft_wrap=True)
