"""Numbers, times and names as the page writes them."""

from __future__ import annotations

from datetime import datetime, timedelta

CONSTRAINT_NAMES = {
    "p_loss_max": "Loss probability",
    "cvar_max": "CVaR",
    "expected_winners_min": "Expected winners",
    "bucket_max_weight": "Heaviest bucket",
}
BOUND_NAMES = {
    "sector_min_weight": "at least in sector",
    "sector_max_weight": "at most in sector",
    "stage_min_weight": "at least in stage",
    "stage_max_weight": "at most in stage",
}


def percent(fraction: float, decimals: int = 1) -> str:
    """A fraction as per cent; -0.0% is 0.0%."""
    return f"{round(100.0 * fraction, decimals) + 0.0:.{decimals}f}%"


def multiple(value: float, decimals: int = 2) -> str:
    """A MOIC."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}x"


def signed_multiple(value: float, decimals: int = 3) -> str:
    return f"{round(value, decimals) + 0.0:+.{decimals}f}x"


def count(value: float, decimals: int = 2) -> str:
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def dollars(amount: float) -> str:
    """Whole dollars."""
    return f"${amount:,.0f}" if amount >= 0 else f"-${-amount:,.0f}"


def short_dollars(amount: float) -> str:
    """Three figures or so: $100m, $1.25bn."""
    for scale, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(amount) >= scale:
            return f"${amount / scale:.4g}{unit}"
    return dollars(amount)


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


def constraint_name(constraint_id: str) -> str:
    """`sector_max_weight:Biotech` as "Biotech: at most in sector"."""
    kind, _, name = constraint_id.partition(":")
    if name:
        return f"{name}: {BOUND_NAMES.get(kind, kind)}"
    return CONSTRAINT_NAMES.get(kind, constraint_id)


def constraint_value(kind: str, value: float, decimals: int = 2) -> str:
    """In the limit's own unit: companies for winners, per cent for everything else."""
    return count(value) if kind == "expected_winners_min" else percent(value, decimals)
