"""Importing core or db reads and writes no file of ours: it works wherever the code can be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# What the import system and other packages open is theirs; a frame of ours that opens something is not.
PROGRAM = """
import importlib, pkgutil, sys

ROOT = sys.argv[1]
ROOMS = tuple(f"{ROOT}/{room}/" for room in ("core", "db"))
EVENTS = {"open", "os.mkdir", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.putenv"}

def hook(event, arguments):
    if event not in EVENTS:
        return
    frame = sys._getframe(1)
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        if frame.f_code.co_filename.startswith(ROOMS):
            print(event, arguments[0], "by", f"{frame.f_code.co_filename}:{frame.f_lineno}")
            return
        frame = frame.f_back

sys.addaudithook(hook)
import core, db
count = 0
for package in (core, db):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # Alembic executes these two kinds itself, with a connection.
        if not module.name.startswith(("db.migrations.versions", "db.migrations.env")):
            importlib.import_module(module.name)
            count += 1
exec(compile("open(sys.executable, 'rb').close()", f"{ROOT}/core/probe.py", "exec"))
print(count, "modules", file=sys.stderr)
"""


def test_importing_core_and_db_touches_no_file() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(PROJECT)], capture_output=True, text=True, check=True, cwd="/"
    )
    assert int(done.stderr.split()[-2]) > 100
    # The last one is the probe's own, which shows that the hook sees what it should.
    (only,) = done.stdout.splitlines()
    assert only.endswith("core/probe.py:1")
