"""What bridges call themselves when they connect to the database: that is how others see that one is there."""

from __future__ import annotations

from tasks.process_owner import lease_owner

BRIDGE = "vcfolio bridge"


def application_name() -> str:
    """PostgreSQL keeps 63 bytes of it."""
    host, _boot, pid, *_ = lease_owner().split("/")
    return f"{BRIDGE} {host[:32]}/{pid}"
