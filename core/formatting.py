"""Numbers as people read them: percent, multiples, dollars, counts."""

from __future__ import annotations


def percent(fraction: float, decimals: int = 1) -> str:
    """A fraction in percent; -0.0% is 0.0%."""
    return f"{round(100.0 * fraction, decimals) + 0.0:.{decimals}f}%"


def limit_percent(fraction: float) -> str:
    """A limit in percent, with as many decimals as it was given, at most two: 35%, 14.33%."""
    return f"{round(100.0 * fraction, 2) + 0.0:.12g}%"


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
    """About three significant figures: $100M, $1.25bn."""
    for scale, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= scale:
            return f"${amount / scale:.4g}{unit}"
    return dollars(amount)


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
