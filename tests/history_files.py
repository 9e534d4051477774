"""A small history as files, its mapping, and the command that makes a calibration of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.unit.calibration.histories import MAPPING_FILE

COMPANY_COLUMNS = "id,name,category,status"
COMPANIES = [f"c{number},Company {number},{'saas' if number % 3 else 'pharma'},alive" for number in range(12)]
ROUNDS = [
    *(f"c{number},seed,2005-0{1 + number % 9}-01,500000" for number in range(12)),
    *(f"c{number},a,2007-0{1 + number % 9}-01,2000000" for number in range(8)),
    *(f"c{number},b,2009-0{1 + number % 9}-01,8000000" for number in range(5)),
    *(f"c{number},c,2011-0{1 + number % 9}-01,20000000" for number in range(3)),
]


def write_history(
    directory: Path,
    *,
    company_columns: str = COMPANY_COLUMNS,
    companies: Sequence[str] = COMPANIES,
    rounds: Sequence[str] = ROUNDS,
) -> None:
    (directory / "companies.csv").write_text("\n".join([company_columns, *companies, ""]))
    (directory / "rounds.csv").write_text("\n".join(["id,type,day,usd", *rounds, ""]))
    (directory / "mapping.toml").write_text(MAPPING_FILE)


def calibrate(directory: Path, *, fund: str, version: str) -> list[str]:
    """The arguments of the command."""
    files = {name: str(directory / f"{name}.csv") for name in ("companies", "rounds")}
    options = {**files, "mapping": str(directory / "mapping.toml"), "fund": fund, "version": version}
    return ["calibrate", "--as-of", "2020-01-01", *(part for name in options for part in (f"--{name}", options[name]))]
