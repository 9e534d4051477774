"""The same processes and homes as the shorter tests of the command line have."""

from tests.system.cli.conftest import (  # noqa: F401
    alone,
    caught,
    database,
    first_run,
    open_directory,
    processes,
    unserved,
    vcfolio,
    write,
)
