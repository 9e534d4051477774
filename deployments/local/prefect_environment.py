"""How Prefect is configured wherever vcfolio runs it. Prefect reads this from the environment when it is imported."""

from __future__ import annotations

from pathlib import Path

from db.settings import export


def configure_client(home: Path, api_url: str) -> None:
    """This process, before it imports Prefect, which complains of a home directory that it cannot make."""
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    export(client_environment(home, api_url))


def client_environment(home: Path, api_url: str) -> dict[str, str]:
    """For flows and workers. home: vcfolio's directory; results are stored in it under one path for all of them."""
    return {
        **_no_calls_home(),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": api_url,
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
        # Logs go to Prefect's server, where the run is looked at; the terminal is the command's.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    }


NO_CLIENT_RETRIES = {"PREFECT_CLIENT_MAX_RETRIES": "0", "PREFECT_API_REQUEST_TIMEOUT": "10"}
"""For clients that must not block while the server is unreachable, and that retry by themselves."""


def server_environment(home: Path, database_url: str) -> dict[str, str]:
    """For the server process. database_url: of a database of its own, with the asyncpg driver; holds the password."""
    return {
        **_no_calls_home(),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
        # Events and old runs pile up without end otherwise.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # The page calls the server that it was loaded from, not port 4200.
        "PREFECT_SERVER_UI_API_URL": "/api",
    }


def _no_calls_home() -> dict[str, str]:
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }
