"""Every command: its name, the function that carries it out, and its line of help. A new command is a line here."""

from __future__ import annotations

import typer

from deployments.cli.lazy import add_command

COMMANDS = {
    "run": (
        "run_command:run",
        "Find the best portfolio for a request: matrix, optimization, validation, in this process.",
    ),
    "simulate": (
        "simulate_command:simulate",
        "Write the scenario matrix of a request as Parquet; the scenario states are in the file's metadata.",
    ),
    "explain-scenario": (
        "explain_command:explain_scenario",
        "Tell one entry of the matrix, company by company: it adds up to the last bit.",
    ),
    "realism": ("realism_command:realism", "Set simulated deals and funds beside published ones."),
    "request": (
        "request_command:request",
        "Store a request for the stack (`vcfolio up`) to carry out, and print its session's id at once.",
    ),
    "frontier": (
        "frontier_command:frontier",
        "What a limit costs: the best portfolio at each of a row of values, with its proof.",
    ),
    "optimize": (
        "optimize_command:optimize_external",
        "Find the best portfolio on a matrix of your own; needs no database and no Prefect.",
    ),
    "status": ("status_command:status", "Where a session is."),
    "cancel": ("cancel_command:cancel", "End a session now; a running solve stops within two seconds."),
    "result": ("result_command:result", "What a completed session found."),
    "stress": (
        "stress_command:stress",
        "Show a completed session's portfolio in each economy, or in a mix of them, without a new solve.",
    ),
    "out-of-sample": (
        "out_of_sample_command:out_of_sample",
        "Test a completed session's portfolio in millions of fresh scenarios, on all cores or a cluster.",
    ),
    "calibrate": (
        "calibrate_command:calibrate",
        "Make a calibration snapshot of a fund's investment history, from files (which are loaded) or its rows.",
    ),
    "schema": (
        "schema_command:schema",
        "Print the JSON Schema of a request: every field with unit, default and range.",
    ),
    "up": (
        "up_command:up",
        "Run the whole stack: database, Prefect server, workers, bridge, API and page. Ctrl-C stops it.",
    ),
    "bridge": (
        "bridge_command:bridge",
        "Run the bridge alone: makes a flow run of each session that waits, and rescues lost ones.",
    ),
    "worker": ("worker_command:worker", "Run a worker alone: carries out flow runs."),
    "api": ("api_command:api", "Serve the API and the page alone, at VCFOLIO_API_HOST and VCFOLIO_API_PORT."),
    "login": ("login_command:login", "Print a link to the page that logs in once."),
    "doctor": (
        "doctor_command:doctor",
        "Say what is wrong with the stack, and what to do about it. Exit code 1 if anything is.",
    ),
}

GROUPS = {
    "fund": (
        "Funds and their members.",
        {
            "add": ("fund_commands:add", "Create a fund; you are its owner."),
            "list": ("fund_commands:show", "List the funds with their ids and calibrations."),
            "member": ("fund_commands:member", "List a fund's members, or make a user one."),
            "load": (
                "fund_load_command:load",
                "Load a funding history into the fund's rows, without calibrating.",
            ),
        },
    ),
    "token": (
        "Bearer tokens of the API.",
        {
            "add": (
                "token_commands:add",
                "Make a token and show it, this once. Default scopes: read and request.",
            ),
            "list": (
                "token_commands:show",
                "Every token, without its secret, which nobody has but its owner.",
            ),
            "revoke": ("token_commands:revoke", "Make a token worthless, at once and for ever."),
        },
    ),
    "outbox": (
        "Sessions that wait for their flow run.",
        {
            "list": (
                "outbox_commands:show",
                "Sessions that have not ended, with what became of their flow runs.",
            ),
            "redrive": (
                "outbox_commands:redrive_session",
                "Make a pending row due now, with all its attempts before it.",
            ),
        },
    ),
    "matrix": (
        "Stored scenario matrices.",
        {
            "invalidate": (
                "matrix_commands:invalidate_matrix",
                "Forget a stored matrix; whoever needs it next makes it anew.",
            ),
        },
    ),
    "db": (
        "The database: migrations and where it is.",
        {
            "upgrade": ("db_commands:upgrade", "Bring the schema to the newest version."),
            "downgrade": ("db_commands:downgrade", "Take migrations back. Data of the tables that go is lost."),
            "info": ("db_commands:info", "Where the database is, its version and what it holds."),
        },
    ),
}


def add_commands(app: typer.Typer) -> None:
    """All of them, none imported."""
    for name, (target, summary) in COMMANDS.items():
        add_command(app, name, target, summary)
    for group, (summary, commands) in GROUPS.items():
        below = typer.Typer(help=summary, no_args_is_help=True)
        for name, (target, line) in commands.items():
            add_command(below, name, target, line)
        app.add_typer(below, name=group)
