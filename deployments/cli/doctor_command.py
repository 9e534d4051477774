"""`vcfolio doctor`: health checks of the stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import Unavailable
from db.settings import Settings, export, load_settings
from deployments.cli import terminal
from deployments.cli.arguments import AsJson
from deployments.local.prefect_environment import NO_CLIENT_RETRIES, configure_client
from deployments.local.services import database

if TYPE_CHECKING:
    from deployments.local.health import Finding


def doctor(
    *,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only whether requests can be carried out now; exit code 0 if so.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Exit code 0 when nothing is wrong, or, with `ready`, nothing that requests cannot do without."""
    settings = load_settings()
    findings = [*_look_at_database(settings), *_look_at_prefect(settings)]
    wrong = [finding for finding in findings if not finding.fine and (finding.vital or not ready)]
    if as_json:
        terminal.print_json(
            {
                "ready": not any(finding.vital and not finding.fine for finding in findings),
                "findings": [
                    {"subject": f.subject, "fine": f.fine, "vital": f.vital, "words": f.words} for f in findings
                ],
            }
        )
    else:
        for finding in wrong if ready else findings:
            mark = "[green]fine [/green]" if finding.fine else "[red]WRONG[/red]"
            terminal.output.print(mark, end=" ")
            terminal.output.print(f"{finding.subject}: {finding.words}", markup=False, soft_wrap=True)
        if ready and not wrong:
            terminal.output.print("ready")
    raise typer.Exit(1 if wrong else 0)


def _look_at_database(settings: Settings) -> list[Finding]:
    from deployments.local.health import Finding, database_findings  # noqa: PLC0415 - imports Prefect

    try:
        with database(settings) as engine:
            return list(database_findings(engine))
    except Unavailable as error:
        return [Finding("database", False, True, str(error))]


def _look_at_prefect(settings: Settings) -> list[Finding]:
    url = settings.prefect_api_url or _own_server(settings)
    if url is None:
        from deployments.local.health import Finding  # noqa: PLC0415

        return [Finding("Prefect server", False, True, "not running: `vcfolio up` starts it, or set PREFECT_API_URL")]
    configure_client(settings.home, url)
    export(NO_CLIENT_RETRIES)
    return list(_ask_prefect(url))


def _ask_prefect(url: str) -> Iterator[Finding]:
    import httpx  # noqa: PLC0415
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.exceptions import PrefectHTTPStatusError  # noqa: PLC0415
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    from deployments.local.health import Finding, prefect_findings  # noqa: PLC0415

    with temporary_settings({PREFECT_API_URL: url}):
        try:
            with get_client(sync_client=True) as client:
                found = list(prefect_findings(client))
        except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
            yield Finding("Prefect server", False, True, f"{url} does not answer: {type(error).__name__}: {error}")
            return
    yield Finding("Prefect server", True, True, f"{url} answers")
    yield from found


def _own_server(settings: Settings) -> str | None:
    """Of the stack that runs on this machine, if one does."""
    from deployments.local.prefect_server_process import ServerProcess  # noqa: PLC0415

    recorded = ServerProcess.recorded(settings.home / "prefect")
    return recorded.api_url if recorded and recorded.alive() else None
