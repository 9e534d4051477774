"""How Prefect is configured wherever vcfolio runs it. Prefect reads this from the environment when it is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from core.own_files import make_private_directory
from db.settings import export

PAGE_FILES = Path("prefect", "page")


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """Where a Prefect server answers, and what it wants to hear. auth_string: `user:password`, None for a server of
    the user's own that wants none, or whose API key Prefect knows from elsewhere."""

    url: str
    auth_string: str | None = field(default=None, repr=False)


def configure_client(home: Path, api: PrefectApi) -> None:
    """This process, before it imports Prefect, which complains of a home directory that it cannot make."""
    make_private_directory(home / "prefect")
    make_private_directory(home / "results")
    export(client_environment(home, api))


def client_environment(home: Path, api: PrefectApi) -> dict[str, str]:
    """For flows and workers. home: vcfolio's directory; results are stored in it under one path for all of them."""
    return {
        **_no_calls_home(),
        **({} if api.auth_string is None else {"PREFECT_API_AUTH_STRING": api.auth_string}),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": api.url,
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        # Nothing of ours is written as a pickle, which is code to whoever reads it.
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        # Logs go to Prefect's server, where the run is looked at; the terminal is the command's.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    }


NO_CLIENT_RETRIES = {"PREFECT_CLIENT_MAX_RETRIES": "0", "PREFECT_API_REQUEST_TIMEOUT": "10"}
"""For clients that must not block while the server is unreachable, and that retry by themselves."""


def server_environment(home: Path, database_url: str, api: PrefectApi) -> dict[str, str]:
    """For the server process. database_url: of a database of its own, with the asyncpg driver; holds the password.

    Whoever may use Prefect's API can have it run any command, so the server answers those who know the secret alone,
    and no page but its own. Names are those that Prefect reads first, whatever else the caller's environment has.
    """
    address = urlsplit(api.url)
    return {
        **_no_calls_home(),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_API_AUTH_STRING": api.auth_string or "",
        "PREFECT_API_AUTH_STRING": api.auth_string or "",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{address.scheme}://{address.netloc}",
        # Events and old runs pile up without end otherwise.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # Prefect fills in its page before it serves it: not beside its own code, where the first user of an
        # installation would decide what all others are shown, and whether they can read it.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / PAGE_FILES),
        # The page calls the server that it was loaded from, not port 4200.
        "PREFECT_SERVER_UI_API_URL": "/api",
    }


def _no_calls_home() -> dict[str, str]:
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
