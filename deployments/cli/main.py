"""`vcfolio`: the command line. `commands` lists what there is; here an error becomes an exit code."""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Annotated

import typer

from core.errors import BadInput, VcfolioError
from core.own_files import keep_new_files_private
from deployments.cli import terminal
from deployments.cli.commands import add_commands

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="vcfolio",
    help="Spread a venture fund's capital over stages and sectors within the limits its partners set.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_commands(app)


@app.callback()
def main(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the stack trace of an error.")] = False,
) -> None:
    terminal.verbose = terminal.verbose or verbose
    if context.invoked_subcommand is None:
        from deployments.cli.run_command import run as run_request  # noqa: PLC0415 - other commands need not wait

        run_request()


def run() -> int:
    """The console script: runs the command and maps every error to an exit code, here and nowhere else."""
    keep_new_files_private()
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
