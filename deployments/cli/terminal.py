"""Where the command line speaks: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from core.errors import BadInput, VcfolioError

PAGE_WIDTH = 130
"""Columns where the terminal does not say: in a pipe or a file."""

output = Console(highlight=False, width=None if sys.stdout.isatty() else PAGE_WIDTH)
notes = Console(stderr=True, highlight=False)
verbose = False


def print_json(document: Any) -> None:
    """One JSON document, unstyled and unwrapped."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201


def print_json_line(document: Any) -> None:
    """One JSON document on one line, at once."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)  # noqa: T201


def say(text: str) -> None:
    """A remark on standard error, taken literally."""
    notes.print(text, markup=False, soft_wrap=True)


def say_error(error: Exception) -> None:
    """What went wrong, in words; the stack trace is for --verbose."""
    if isinstance(error, BadInput):
        for problem in error.problems:
            notes.print(f"error: {problem}", markup=False, soft_wrap=True, style="red")
    elif isinstance(error, VcfolioError):
        notes.print(f"error ({error.code}): {error}", markup=False, soft_wrap=True, style="red")
    else:
        notes.print(
            f"internal error: {type(error).__name__}: {error} (run again with --verbose for the stack trace)",
            markup=False,
            soft_wrap=True,
            style="red",
        )
