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
from deployments.local.services import configured_api, database, own_api

if TYPE_CHECKING:
    from deployments.local.health import Finding
    from deployments.local.prefect_environment import PrefectApi


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
    api = own_api(settings) if settings.prefect_api_url is None else configured_api(settings)
    if api is None:
        from deployments.local.health import Finding  # noqa: PLC0415

        return [Finding("Prefect server", False, True, "not running: `vcfolio up` starts it, or set PREFECT_API_URL")]
    configure_client(settings.home, api)
    export(NO_CLIENT_RETRIES)
    return list(_ask_prefect(api))


def _ask_prefect(api: PrefectApi) -> Iterator[Finding]:
    import httpx  # noqa: PLC0415
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.exceptions import PrefectHTTPStatusError  # noqa: PLC0415
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings  # noqa: PLC0415

    from deployments.local.health import Finding, access_finding, prefect_findings  # noqa: PLC0415

    url = api.url
    known = {PREFECT_API_URL: url} | ({} if api.auth_string is None else {PREFECT_API_AUTH_STRING: api.auth_string})
    with temporary_settings(known):
        try:
            with get_client(sync_client=True) as client:
                found = list(prefect_findings(client))
        except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
            yield Finding("Prefect server", False, True, f"{url} does not answer: {type(error).__name__}: {error}")
            return
    yield Finding("Prefect server", True, True, f"{url} answers")
    yield access_finding(url)
    yield from found
