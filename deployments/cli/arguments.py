"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from core.errors import BadInput


def _session_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadInput.of("SESSION_ID", value, "must be a UUID, as `vcfolio run` prints it") from None


RequestFile = Annotated[Path, typer.Argument(help="Request as JSON; see `vcfolio schema`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
SessionId = Annotated[
    UUID, typer.Argument(parser=_session_id, metavar="SESSION_ID", help="Session id, as `run` prints it.")
]
ResumedSession = Annotated[
    UUID | None,
    typer.Option(parser=_session_id, metavar="SESSION_ID", help="Finish this interrupted session instead."),
]
Parent = Annotated[int | None, typer.Option(hidden=True, help="End with this process.")]
FundReference = Annotated[str, typer.Argument(help="Fund name or id.")]
