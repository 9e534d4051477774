"""`vcfolio frontier`: the flow of a frontier in this process, its points as a table, as JSON and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.frontier.variation import Variation, parse_variation
from core.request import OptimizationRequest
from db.engine import transaction
from db.requests import resolve_request
from db.settings import load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson, RequestFile
from deployments.cli.frontier_view import render_frontier
from deployments.cli.interruptible import run_interruptibly
from deployments.cli.output_file import PictureKind, picture_kind, write_whole
from deployments.cli.request_file import read_request
from deployments.local.services import FlowServices, flow_services


def frontier(
    request: RequestFile,
    *,
    vary: Annotated[
        list[str],
        typer.Option(metavar="FIELD=START:STOP:COUNT", help="Limit to vary: cvarLimit=0.1:0.5:9, or FIELD=VALUE,..."),
    ],
    chart: Annotated[Path | None, typer.Option(help="Picture to write, .svg or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Raises BadInput before anything is solved or written."""
    kind = None if chart is None else picture_kind(chart)
    variation = parse_variation(vary)
    parsed = read_request(request)
    variation.applied(parsed)
    with flow_services(load_settings()) as services:
        document = _solve(services, parsed, variation, vary[0])
    if chart is not None and kind is not None:
        _write_chart(chart, kind, document)
    if as_json:
        terminal.print_json(document)
    else:
        render_frontier(document, terminal.output)


def _solve(services: FlowServices, request: OptimizationRequest, variation: Variation, vary: str) -> dict[str, Any]:
    with transaction(services.engine) as conn:
        for varied in variation.applied(request):
            resolve_request(conn, varied)  # what is wrong with it is said at once, not when Prefect is up
    with terminal.notes.status("starting Prefect ..."):
        # Prefect reads its settings when it is imported.
        from deployments.prefect.flush import flush_to_server  # noqa: PLC0415
        from flows import frontier as flow  # noqa: PLC0415
        from tasks.frontier import stop_points  # noqa: PLC0415

        services.wait_for_prefect()
    asked = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
    found: list[dict[str, Any]] = []

    def work() -> None:
        found.append(flow.frontier(asked, vary))

    try:
        with terminal.notes.status(f"solving for {len(variation.values)} values of {variation.field} ..."):
            run_interruptibly(work, give_up=stop_points)
    finally:
        flush_to_server()
    return found[0]


def _write_chart(chart: Path, kind: PictureKind, document: dict[str, Any]) -> None:
    from core.charts.frontier import frontier_chart  # noqa: PLC0415 - matplotlib, for those who want a picture
    from core.frontier.document import frontier_picture  # noqa: PLC0415

    picture = frontier_chart(frontier_picture(document), kind)
    write_whole(chart, "--chart", lambda draft: draft.write_bytes(picture))
    terminal.say(f"chart: {chart}")
