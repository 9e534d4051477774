"""Reading a request from a file that a user names."""

from __future__ import annotations

from pathlib import Path

from core.errors import BadInput
from core.request import OptimizationRequest, parse_request_text


def read_request(path: Path) -> OptimizationRequest:
    """Raises BadInput for a file that cannot be read and for every rule that the request breaks."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput.of("REQUEST", str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput.of("REQUEST", str(path), f"must be UTF-8 text: {error.reason}") from error
    return parse_request_text(text)
