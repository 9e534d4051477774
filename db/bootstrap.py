"""Making a database ready for use: migrations, and the benchmark snapshots that the product ships."""

from __future__ import annotations

from sqlalchemy import Engine

from db import migrations
from db.benchmarks import shipped_benchmarks
from db.calibrations import store_snapshot
from db.engine import transaction


def prepare_database(engine: Engine) -> None:
    """Safe to call from many processes at once, and cheap when there is nothing to do."""
    migrations.upgrade(engine)
    with transaction(engine) as conn:
        for benchmark in shipped_benchmarks():
            store_snapshot(conn, benchmark, fund_id=None)
