"""Times as the page writes them."""

from __future__ import annotations

from datetime import datetime, timedelta


def moment(at: datetime | None) -> str:
    """To the minute, UTC."""
    return "-" if at is None else f"{at:%d %b %Y, %H:%M} UTC"


def duration(seconds: float | None) -> str:
    """As people say it: 0.4 s, 12 s, 3 min 05 s, 1 h 02 min."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one to the other, None where either has not been."""
    return None if start is None or end is None else (end - start) / timedelta(seconds=1)
