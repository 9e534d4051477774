"""Files that a command writes: whole or not at all, and refused before anything is computed where that can be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from core.errors import BadInput

PictureKind = Literal["svg", "png"]

_KINDS: dict[str, PictureKind] = {".svg": "svg", ".png": "png"}


def require_directory(path: Path, option: str) -> None:
    """Raises BadInput naming the option when there is no directory to write the file in."""
    if not path.parent.is_dir():
        raise BadInput.of(option, str(path), "must lie in a directory that exists")


def picture_kind(chart: Path) -> PictureKind:
    """From the name that --chart gives. Raises BadInput for another ending, or no directory to write it in."""
    if chart.suffix.lower() not in _KINDS:
        raise BadInput.of("--chart", str(chart), "must end with .svg or .png")
    require_directory(chart, "--chart")
    return _KINDS[chart.suffix.lower()]


def write_whole(path: Path, option: str, write: Callable[[Path], object]) -> None:
    """`write` fills a draft beside the file, which takes its place then. Raises BadInput where that cannot be."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(draft)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput.of(option, str(path), f"cannot be written: {error.strerror}") from error
