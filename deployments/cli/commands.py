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
        "Explain one entry of the matrix, company by company; the parts add up to the last bit.",
    ),
    "realism": ("realism_command:realism", "Compare simulated deals and funds with published ones."),
    "request": (
        "request_command:request",
        "Submit a request for the stack (`vcfolio up`) to run, and print the id of its session.",
    ),
    "frontier": (
        "frontier_command:frontier",
        "What a limit costs: the best portfolio at each of several values, with its proof.",
    ),
    "optimize": (
        "optimize_command:optimize_external",
        "Find the best portfolio on a matrix of your own; needs no database and no Prefect.",
    ),
    "status": ("status_command:status", "Show the state of a session."),
    "cancel": ("cancel_command:cancel", "Cancel a session; a running solve stops within two seconds."),
    "result": ("result_command:result", "Show the result of a completed session."),
    "stress": (
        "stress_command:stress",
        "Show a completed session's portfolio in each economy, or in a mix of them, without a new solve.",
    ),
    "out-of-sample": (
        "out_of_sample_command:out_of_sample",
        "Test a completed session's portfolio in millions of scenarios out of sample, on all cores or a cluster.",
    ),
    "calibrate": (
        "calibrate_command:calibrate",
        "Create a calibration snapshot of a fund's investment history, from files (which are loaded) or its rows.",
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
        "Run the bridge alone: creates a flow run for each waiting session, and recovers sessions whose run was lost.",
    ),
    "worker": ("worker_command:worker", "Run a worker alone: executes flow runs."),
    "api": ("api_command:api", "Serve the API and the page alone, at VCFOLIO_API_HOST and VCFOLIO_API_PORT."),
    "login": ("login_command:login", "Print a link that logs in to the page; it can be used once."),
    "doctor": (
        "doctor_command:doctor",
        "Check the stack, and say what to do about each problem. Exit code 1 if there is any.",
    ),
}

GROUPS = {
    "fund": (
        "Funds and their members.",
        {
            "add": ("fund_commands:add", "Create a fund; you become its owner."),
            "list": ("fund_commands:show", "List the funds with their ids and calibrations."),
            "member": ("fund_commands:member", "List a fund's members, or add one."),
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
                "Create a token and show it, once only. Default scopes: read and request.",
            ),
            "list": (
                "token_commands:show",
                "List all tokens. Their secrets are not stored.",
            ),
            "revoke": ("token_commands:revoke", "Revoke a token, immediately and permanently."),
        },
    ),
    "outbox": (
        "Sessions waiting for their flow run.",
        {
            "list": (
                "outbox_commands:show",
                "List the sessions that have not ended, with the state of their outbox rows.",
            ),
            "redrive": (
                "outbox_commands:redrive_session",
                "Make a pending row due now, with all its attempts left.",
            ),
        },
    ),
    "matrix": (
        "Stored scenario matrices.",
        {
            "invalidate": (
                "matrix_commands:invalidate_matrix",
                "Discard a stored matrix; the next session that needs it generates it again.",
            ),
        },
    ),
    "db": (
        "The database: location and migrations.",
        {
            "upgrade": ("db_commands:upgrade", "Bring the schema to the newest version."),
            "downgrade": ("db_commands:downgrade", "Revert migrations. The data of dropped tables is lost."),
            "info": ("db_commands:info", "Show where the database is, its version and its row counts."),
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
