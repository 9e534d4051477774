"""What the environment may set. This module alone reads it; everything else is given its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import BadInput, FieldProblem

PREFIX = "VCFOLIO_"
POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")


def _database_url(url: str) -> str:
    """With the driver that we use named in the scheme, as SQLAlchemy wants it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in POSTGRES_SCHEMES:
        raise PydanticCustomError("database_url", "must start with postgresql:// or postgres://")
    if rest.partition("/")[0].count("@") > 1:
        raise PydanticCustomError("database_url", "must write an @ within user or password as %40")
    try:
        _ = urlsplit(url).port
        conninfo_to_dict(f"postgresql://{rest}")
    except (ValueError, ProgrammingError):  # whose messages may repeat a piece of the password
        raise PydanticCustomError("database_url", "must be a connection URI as libpq reads it") from None
    return f"postgresql+psycopg://{rest}"


def _http_url(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise PydanticCustomError("http_url", "must start with http:// or https://")
    return url


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


def _duration(unit: str, most: int) -> AfterValidator:
    def check(value: float) -> float:
        if not 0 < value <= most:
            raise PydanticCustomError("duration", f"must be above 0 and at most {most:,} {unit}")
        return value

    return AfterValidator(check)


Seconds = Annotated[float, _duration("seconds", 31_536_000)]
Minutes = Annotated[float, _duration("minutes", 525_600)]
Hours = Annotated[float, _duration("hours", 8_760)]
Days = Annotated[float, _duration("days", 36_500)]
Count = Annotated[int, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """Where things are, and how long the product waits. A duration's unit is the end of its name: `_s` for seconds,
    `_minutes`, `_hours`, `_days`; it is above 0.

    home: the user's own directory, for the embedded server and all other data.
    database_url: the server to use instead of the embedded one, for SQLAlchemy.
    prefect_api_url: the Prefect server to use instead of our own. prefect_api_auth_string: its secret, user:password.
    pg_bin_dir: PostgreSQL's programs to use instead of those of the wheel.
    lease_s: a session whose lease is not renewed for so long is taken over. generation_lease_s: a matrix likewise.
    heartbeat_s: between two renewals of a lease. ownership_check_s: between two looks at whether it is still ours.
    solve_time_limit_s: safety net of one optimization; work limits decide results, and one that this cut short says so.
    max_generations: matrices in the making at once. max_generations_per_minute: begun within one minute.
    max_takeovers: generations of one matrix begun anew after a crash. max_epochs: how often the lease of a session may
    run out before it fails. max_waiting_sessions: with more, requests are refused, to be tried again after
    retry_after_s. max_sessions: run at once by one worker.
    bridge_poll_s: between two polls of the outbox when no notification comes.
    reap_every_s: between two passes of the bridge's reaper. stuck_after_s: a claim so old is taken back.
    begun_patience_s: a flow run that has begun and does not take its session for so long is given up.
    cancel_poll_s: between two looks of the bridge for runs that a person cancels in Prefect. cancel_patience_s: a run
    that nobody has ended so long after that is set to Cancelled.
    matrix_kept_days, failed_matrix_kept_days: since the matrix was last read, or failed. job_kept_days: outbox rows,
    since their session ended. page_url: of the web page, for links to it.
    api_host, api_port: where the API and the page are served. api_names: by which clients may ask for them besides,
    comma-separated. page_session_hours: until one must log in again.
    login_link_minutes: how long a login link waits to be used.
    task_runner: what carries out the parts of large matrices and samples: threads or processes here, or dask.
    task_workers: how many of them at once; default one a core. dask_address: of a Dask scheduler, such as
    tcp://host:8786; without it a local cluster is started.
    metrics_port: where the bridge serves its metrics on 127.0.0.1; none by default.
    fault: arms a fault point, for tests of crashes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    home: AbsolutePath
    database_url: DatabaseUrl | None = Field(default=None, repr=False)  # it holds a password
    prefect_api_url: HttpUrl | None = None
    prefect_api_auth_string: SecretStr | None = None
    pg_bin_dir: AbsolutePath | None = None

    lease_s: Seconds = 45.0
    generation_lease_s: Seconds = 45.0
    heartbeat_s: Seconds = 10.0
    ownership_check_s: Seconds = 1.0
    solve_time_limit_s: Seconds = 600.0
    max_generations: Count = 2
    max_generations_per_minute: Count = 10
    max_takeovers: Count = 3
    max_epochs: Count = 5
    max_waiting_sessions: Count = 1000
    retry_after_s: Seconds = 30.0
    max_sessions: Count = 2

    bridge_poll_s: Seconds = 1.0
    reap_every_s: Seconds = 10.0
    stuck_after_s: Seconds = 300.0
    begun_patience_s: Seconds = 120.0
    cancel_poll_s: Seconds = 1.0
    cancel_patience_s: Seconds = 30.0

    matrix_kept_days: Days = 30.0
    failed_matrix_kept_days: Days = 7.0
    job_kept_days: Days = 30.0

    task_runner: Literal["threads", "processes", "dask"] = "threads"
    task_workers: Count = Field(default_factory=lambda: os.cpu_count() or 1)
    dask_address: str | None = None

    page_url: HttpUrl | None = None
    api_host: str = Field(default="127.0.0.1", min_length=1)
    api_port: Port = 8321
    api_names: str = ""
    page_session_hours: Hours = 12.0
    login_link_minutes: Minutes = 15.0
    metrics_port: Port | None = None
    fault: str | None = None

    @field_validator("heartbeat_s", "ownership_check_s")
    @classmethod
    def _shorter_than_the_leases(cls, value: float, info: ValidationInfo) -> float:
        for lease in ("lease_s", "generation_lease_s"):
            if value >= info.data.get(lease, float("inf")):
                rule = f"must be less than {PREFIX}{lease.upper()}, or the lease runs out before it is renewed"
                raise PydanticCustomError("longer_than_lease", rule)
        return value


class _Environment(BaseSettings, Settings):
    """The same, filled from the environment. An empty variable counts as unset, as shells have it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore")

    home: AbsolutePath = Field(default_factory=lambda: _data_directory() / "vcfolio")
    # Other programs know these three as well, so they have no prefix.
    database_url: DatabaseUrl | None = Field(default=None, repr=False, validation_alias="DATABASE_URL")
    prefect_api_url: HttpUrl | None = Field(default=None, validation_alias="PREFECT_API_URL")
    prefect_api_auth_string: SecretStr | None = Field(default=None, validation_alias="PREFECT_API_AUTH_STRING")


def load_settings() -> Settings:
    """Reads the environment now. Raises BadInput naming each variable that breaks a rule, its value and the rule."""
    try:
        return Settings(**dict(_Environment()))
    except ValidationError as error:
        raise BadInput([_problem(details) for details in error.errors()]) from None


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process: ours and `extra`."""
    return {**os.environ, **extra}


def export(extra: Mapping[str, str]) -> None:
    """Sets variables in this process, for libraries that are configured in no other way (Prefect, at its import)."""
    os.environ.update(extra)


def _data_directory() -> Path:
    """Source: XDG Base Directory Specification 0.8: XDG_DATA_HOME counts if absolute, else ~/.local/share."""
    configured = Path(os.environ.get("XDG_DATA_HOME", ""))
    return configured if configured.is_absolute() else _user_home() / ".local" / "share"


def _user_home() -> Path:
    """HOME; what the user database says where that is unset or empty."""
    configured = os.environ.get("HOME", "")
    if configured:
        return Path(configured)
    import pwd  # noqa: PLC0415  (not on Windows)

    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _problem(details: ErrorDetails) -> FieldProblem:
    name = str(details["loc"][0])
    variable = name if name.isupper() else PREFIX + name.upper()
    value = details["input"]
    if variable == "DATABASE_URL":
        value = f"{str(value).partition('://')[0]}://..." if "://" in str(value) else "(not shown)"
    return FieldProblem(variable, value, details["msg"])
