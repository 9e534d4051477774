"""Making a database ready for use: migrations, and the reference calibrations that the product ships."""

from __future__ import annotations

from sqlalchemy import Engine

from db import migrations
from db.calibrations import store_snapshot
from db.engine import transaction
from db.reference_calibrations import reference_calibrations


def prepare_database(engine: Engine) -> None:
    """Safe to call from many processes at once, and cheap when there is nothing to do."""
    migrations.upgrade(engine)
    with transaction(engine) as conn:
        for reference in reference_calibrations():
            store_snapshot(conn, reference, fund_id=None)
