"""`vcfolio`: the command line. Each command is a thin layer over the functions that the API uses, too."""

from __future__ import annotations

import sys
import traceback
import warnings
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from core.errors import BadInput, VcfolioError
from deployments.cli import terminal

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXAMPLE_REQUEST = Path(__file__).resolve().parents[2] / "examples" / "fund.json"

app = typer.Typer(
    name="vcfolio",
    help="Spread a venture fund's capital over stages and sectors within the limits its partners set.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
fund_app = typer.Typer(help="Funds and their members.", no_args_is_help=True)
db_app = typer.Typer(help="The database: migrations and where it is.", no_args_is_help=True)
outbox_app = typer.Typer(help="Sessions that wait for their flow run.", no_args_is_help=True)
token_app = typer.Typer(help="Bearer tokens of the API.", no_args_is_help=True)
matrix_app = typer.Typer(help="Stored scenario matrices.", no_args_is_help=True)
app.add_typer(fund_app, name="fund")
app.add_typer(token_app, name="token")
app.add_typer(outbox_app, name="outbox")
app.add_typer(matrix_app, name="matrix")
app.add_typer(db_app, name="db")

RequestFile = Annotated[Path, typer.Argument(help="Request as JSON; see `vcfolio schema`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]


AsOf = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the history was taken.")]


def _session_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadInput.of("SESSION_ID", value, "must be a UUID, as `vcfolio run` prints it") from None


def _token_id(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadInput.of("TOKEN_ID", value, "must be a UUID, as `vcfolio token list` shows it") from None


SessionId = Annotated[
    UUID, typer.Argument(parser=_session_id, metavar="SESSION_ID", help="Session id, as `run` prints it.")
]

Parent = Annotated[int | None, typer.Option(hidden=True, help="End with this process.")]


@app.callback()
def main(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stack trace of an error.")] = False,
) -> None:
    terminal.verbose = terminal.verbose or verbose
    if context.invoked_subcommand is None:
        run_request(EXAMPLE_REQUEST)


@app.command("run")
def run_request(
    request: Annotated[Path | None, typer.Argument(help="Request as JSON; default: the example fund.")] = None,
    resume: Annotated[
        UUID | None,
        typer.Option(parser=_session_id, metavar="SESSION_ID", help="Finish this interrupted session instead."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the best portfolio for a request: matrix, optimization, validation, in this process."""
    from deployments.cli import run_command  # noqa: PLC0415 - loads what other commands need not wait for

    if request is not None and resume is not None:
        raise BadInput.of("REQUEST", str(request), "must be left out with --resume, which has its own request")
    run_command.run(request or EXAMPLE_REQUEST, resume=resume, as_json=as_json)


@app.command()
def simulate(
    request: RequestFile,
    out: Annotated[Path, typer.Option(help="Parquet file to write, one row a bucket.")],
    matrix_key: Annotated[str | None, typer.Option(help="Seed the draws with this key instead of the own.")] = None,
) -> None:
    """Write the scenario matrix of a request as Parquet; the scenario states are in the file's metadata."""
    from deployments.cli import simulate_command  # noqa: PLC0415

    simulate_command.simulate(request, out, matrix_key)


@app.command("explain-scenario")
def explain_scenario(
    request: RequestFile,
    bucket: Annotated[str, typer.Option(help="Bucket key, e.g. Seed_AI.")],
    scenario: Annotated[int, typer.Option(help="Column of the matrix, 0 for the first.")],
    as_json: AsJson = False,
) -> None:
    """Tell one entry of the matrix, company by company: it adds up to the last bit."""
    from deployments.cli import explain_command  # noqa: PLC0415

    explain_command.explain_scenario(request, bucket, scenario, as_json=as_json)


@app.command()
def realism(
    model: Annotated[str, typer.Option(help="Scenario model; its shipped benchmark is used.")] = "three_component_v2",
    chart: Annotated[Path | None, typer.Option(help="Also draw it: a file that ends in .svg or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set simulated deals and funds beside published ones."""
    from deployments.cli import realism_command  # noqa: PLC0415

    realism_command.realism(model, chart, as_json=as_json)


@app.command()
def request(
    request: RequestFile,
    client_key: Annotated[
        str | None, typer.Option(help="Your own key: the same key and request again is the same session.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a request for the stack (`vcfolio up`) to carry out, and print its session's id at once."""
    from deployments.cli import request_command  # noqa: PLC0415

    request_command.request(request, client_key=client_key, as_json=as_json)


@app.command()
def frontier(
    request: RequestFile,
    vary: Annotated[
        list[str],
        typer.Option(metavar="FIELD=START:STOP:COUNT", help="Limit to vary: cvarLimit=0.1:0.5:9, or FIELD=VALUE,..."),
    ],
    chart: Annotated[Path | None, typer.Option(help="Picture to write, .svg or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a limit costs: the best portfolio at each of a row of values, with its proof."""
    from deployments.cli import frontier_command  # noqa: PLC0415

    frontier_command.frontier(request, vary, chart, as_json=as_json)


@app.command()
def optimize(
    matrix: Annotated[Path, typer.Option(help="Scenario matrix as Parquet, in the form that `simulate` writes.")],
    request: Annotated[Path, typer.Option(help="Request as JSON; its limits and fund size count here.")],
    backend: Annotated[str, typer.Option(help="auto, branch-and-bound or highs.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Find the best portfolio on a matrix of your own; needs no database and no Prefect."""
    from deployments.cli import optimize_command  # noqa: PLC0415

    optimize_command.optimize_external(matrix, request, backend, as_json=as_json)


@app.command()
def status(
    session_id: SessionId,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Where a session is."""
    from deployments.cli import session_commands  # noqa: PLC0415

    session_commands.show_status(session_id, watch=watch, as_json=as_json)


@app.command()
def cancel(
    session_id: SessionId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "cancelled by its user",
) -> None:
    """End a session now; a running solve stops within two seconds."""
    from deployments.cli import session_commands  # noqa: PLC0415

    session_commands.cancel_session(session_id, reason)


@app.command()
def result(session_id: SessionId, as_json: AsJson = False) -> None:
    """What a completed session found."""
    from deployments.cli import session_commands  # noqa: PLC0415

    session_commands.show_result(session_id, as_json=as_json)


@app.command()
def stress(
    session_id: SessionId,
    stress: Annotated[
        list[str] | None, typer.Option("--stress", metavar="REGIME=SHARE", help="e.g. recession=1.0; may be repeated.")
    ] = None,
    scenarios: Annotated[int | None, typer.Option(help="Fresh scenarios; default those of the session.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a completed session's portfolio in each economy, or in a mix of them, without a new solve."""
    from deployments.cli import stress_command  # noqa: PLC0415

    stress_command.stress(session_id, stress or [], scenarios, as_json=as_json)


@app.command("out-of-sample")
def out_of_sample(
    session_id: SessionId,
    scenarios: Annotated[int, typer.Option(help="Fresh scenarios, 1,000 to 100,000,000.")] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """Test a completed session's portfolio in millions of fresh scenarios, on all cores or a cluster."""
    from deployments.cli import out_of_sample_command  # noqa: PLC0415

    out_of_sample_command.out_of_sample(session_id, scenarios, as_json=as_json)


@app.command()
def calibrate(
    *,
    fund: Annotated[str, typer.Option(help="Fund name or id.")],
    version: Annotated[str, typer.Option(help="Name of the snapshot to make.")],
    as_of: AsOf = None,
    companies: Annotated[Path | None, typer.Option(help="Companies, CSV or Parquet; without: the fund's rows.")] = None,
    rounds: Annotated[Path | None, typer.Option(help="Financing rounds, CSV or Parquet.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="What the files' columns and values mean, TOML.")] = None,
    method: Annotated[str, typer.Option(help="survival, simple_cohort or industry_benchmark.")] = "survival",
    benchmark: Annotated[str | None, typer.Option(help="Snapshot for what history cannot tell.")] = None,
    dormant_after: Annotated[
        float | None, typer.Option(help="Months of silence that count as failure; 0: never. Default 48.")
    ] = None,
    round_months: Annotated[float | None, typer.Option(help="Length of a round, months. Default 18.")] = None,
    horizon_months: Annotated[
        float | None, typer.Option(help="Months after entry up to which incidence is used. Default 72.")
    ] = None,
    prior_weight: Annotated[
        float | None, typer.Option(help="Rounds (exits, failures) the benchmark counts for. Default 20.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show survival and simple_cohort side by side.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report with its chart here, Markdown.")] = None,
) -> None:
    """Make a calibration snapshot of a fund's investment history, from files (which are loaded) or its rows."""
    from deployments.cli import calibrate_command  # noqa: PLC0415

    calibrate_command.calibrate_fund(
        fund=fund,
        version=version,
        method=method,
        as_of=None if as_of is None else as_of.date(),
        companies=companies,
        rounds=rounds,
        mapping=mapping,
        benchmark=benchmark,
        survival=calibrate_command.SurvivalOptions(dormant_after, round_months, horizon_months, prior_weight),
        compare=compare,
        report=report,
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a request: every field with unit, default and range."""
    from deployments.cli import schema_command  # noqa: PLC0415

    schema_command.print_schema()


@app.command()
def up(
    only: Annotated[
        str | None,
        typer.Option(help="Parts to start, comma-separated: worker, maintenance, bridge, api; else all."),
    ] = None,
) -> None:
    """Run the whole stack: database, Prefect server, workers, bridge, API and page. Ctrl-C stops it."""
    from deployments.cli import up_command  # noqa: PLC0415

    up_command.up(only)


@app.command()
def bridge(parent: Parent = None) -> None:
    """Run the bridge alone: makes a flow run of each session that waits, and rescues lost ones."""
    from deployments.cli import part_commands  # noqa: PLC0415

    part_commands.run_bridge(parent)


@app.command()
def worker(
    scheduled: Annotated[
        bool, typer.Option("--scheduled", help="For the flows that run by schedule, instead of sessions.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What Prefect calls it; default host and process.")] = None,
    parent: Parent = None,
) -> None:
    """Run a worker alone: carries out flow runs."""
    from deployments.cli import part_commands  # noqa: PLC0415

    part_commands.run_worker(scheduled=scheduled, name=name, parent=parent)


@app.command()
def api(parent: Parent = None) -> None:
    """Serve the API and the page alone, at VCFOLIO_API_HOST and VCFOLIO_API_PORT."""
    from deployments.cli import api_command  # noqa: PLC0415

    api_command.serve(parent)


@app.command()
def login(user: Annotated[str, typer.Argument(help="Whom it logs in.")] = "local") -> None:
    """Print a link to the page that logs in once."""
    from deployments.cli import api_command  # noqa: PLC0415

    api_command.login(user)


@token_app.command("add")
def token_add(
    name: Annotated[str, typer.Argument(help="To know it again; one of a name for each user.")],
    user: Annotated[str, typer.Option(help="Whose token it is.")] = "local",
    scope: Annotated[list[str] | None, typer.Option(help="read, request or admin; may be repeated.")] = None,
    days: Annotated[float, typer.Option(help="How long it is good, at most 366.")] = 90.0,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once. Default scopes: read and request."""
    from deployments.cli import token_commands  # noqa: PLC0415

    token_commands.add(name, user=user, scopes=scope or ["read", "request"], days=days, as_json=as_json)


@token_app.command("list")
def token_list(as_json: AsJson = False) -> None:
    """Every token, without its secret, which nobody has but its owner."""
    from deployments.cli import token_commands  # noqa: PLC0415

    token_commands.show(as_json=as_json)


@token_app.command("revoke")
def token_revoke(
    token_id: Annotated[UUID, typer.Argument(parser=_token_id, metavar="TOKEN_ID", help="As `token list` shows it.")],
) -> None:
    """Make a token worthless, at once and for ever."""
    from deployments.cli import token_commands  # noqa: PLC0415

    token_commands.revoke(token_id)


@app.command()
def doctor(
    ready: Annotated[
        bool, typer.Option("--ready", help="Only whether requests can be carried out now; exit code 0 if so.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the stack, and what to do about it. Exit code 1 if anything is."""
    from deployments.cli import doctor_command  # noqa: PLC0415

    raise typer.Exit(doctor_command.doctor(only_ready=ready, as_json=as_json))


@outbox_app.command("list")
def outbox_list(
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50, as_json: AsJson = False
) -> None:
    """Sessions that have not ended, with what became of their flow runs."""
    from deployments.cli import outbox_commands  # noqa: PLC0415

    outbox_commands.show(limit, as_json=as_json)


@outbox_app.command("redrive")
def outbox_redrive(session_id: SessionId) -> None:
    """Make a pending row due now, with all its attempts before it."""
    from deployments.cli import outbox_commands  # noqa: PLC0415

    outbox_commands.redrive_session(session_id)


@matrix_app.command("invalidate")
def matrix_invalidate(
    key: Annotated[str, typer.Argument(help="Matrix key, as `vcfolio status` and `result` show it.")],
) -> None:
    """Forget a stored matrix; whoever needs it next makes it anew."""
    from deployments.cli import matrix_commands  # noqa: PLC0415

    matrix_commands.invalidate_matrix(key)


@fund_app.command("add")
def fund_add(name: Annotated[str, typer.Argument(help="Name of the new fund.")]) -> None:
    """Create a fund; you are its owner."""
    from deployments.cli import fund_commands  # noqa: PLC0415

    fund_commands.add(name)


@fund_app.command("list")
def fund_list(as_json: AsJson = False) -> None:
    """List the funds with their ids and calibrations."""
    from deployments.cli import fund_commands  # noqa: PLC0415

    fund_commands.show(as_json=as_json)


@fund_app.command("member")
def fund_member(
    fund: Annotated[str, typer.Argument(help="Fund name or id.")],
    user: Annotated[str | None, typer.Argument(help="User to add; without it the members are listed.")] = None,
    role: Annotated[str, typer.Option(help="owner, member or viewer.")] = "member",
) -> None:
    """List a fund's members, or make a user one."""
    from deployments.cli import fund_commands  # noqa: PLC0415

    fund_commands.member(fund, user, role)


@fund_app.command("load")
def fund_load(
    fund: Annotated[str, typer.Argument(help="Fund name or id.")],
    companies: Annotated[Path, typer.Option(help="Companies, CSV or Parquet.")],
    rounds: Annotated[Path, typer.Option(help="Financing rounds, CSV or Parquet.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the history was taken.")],
    mapping: Annotated[Path, typer.Option(help="What the files' columns and values mean, TOML.")],
) -> None:
    """Load a funding history into the fund's rows, without calibrating."""
    from deployments.cli import calibrate_command  # noqa: PLC0415

    calibrate_command.load_fund_history(
        fund=fund, as_of=as_of.date(), companies=companies, rounds=rounds, mapping=mapping
    )


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema to the newest version."""
    from deployments.cli import db_commands  # noqa: PLC0415

    db_commands.upgrade()


@db_app.command("downgrade")
def db_downgrade(
    revision: Annotated[str, typer.Argument(help="Revision to go back to, e.g. 0004, or base for none.")],
) -> None:
    """Take migrations back. Data of the tables that go is lost."""
    from deployments.cli import db_commands  # noqa: PLC0415

    db_commands.downgrade(revision)


@db_app.command("info")
def db_info(as_json: AsJson = False) -> None:
    """Where the database is, its version and what it holds."""
    from deployments.cli import db_commands  # noqa: PLC0415

    db_commands.info(as_json=as_json)


def run() -> int:
    """The console script: runs the command and maps every error to an exit code, here and nowhere else."""
    # A library's remark about the user's login session; nothing a user of vcfolio can or need act on.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    terminal.verbose = "--verbose" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--verbose"]
    try:
        code = app(args=arguments, prog_name="vcfolio", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except typer.TyperException as error:
        terminal.say(f"error: {error.format_message()}\nsee vcfolio --help")
        return EXIT_BAD_INPUT
    except VcfolioError as error:
        return _report(error)
    except Exception as error:  # the last line of defence: a stack trace is not for users
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    if terminal.verbose:
        traceback.print_exc()
    terminal.say_error(error)
    return EXIT_BAD_INPUT if isinstance(error, BadInput) else EXIT_FAILED
