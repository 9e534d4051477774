"""Do the migrations build what `db/tables` describes?  `python -m deployments.local.check_migrations`.

Exit code 1 when not. On the server of DATABASE_URL, else on a throw-away one; in databases of its own either way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.own_files import keep_new_files_private
from db import migrations
from db.migrations.drift import find_drift
from db.settings import load_settings
from deployments.local.throw_away import throw_away_database, throw_away_server


@contextmanager
def _server_url() -> Iterator[str]:
    configured = load_settings().database_url
    if configured is not None:
        yield configured
    else:
        with throw_away_server() as postgres:
            yield postgres.url("postgres")


def main() -> int:
    keep_new_files_private()
    with _server_url() as url, throw_away_database(url) as migrated, throw_away_database(url) as described:
        drift = find_drift(migrated, described)
    for line in drift:
        sys.stderr.write(f"{line}\n")
    verdict = f"{len(drift)} differences" if drift else "up, down and up again; no drift from db/tables"
    sys.stdout.write(f"migrations at {migrations.HEAD}: {verdict}\n")
    return 1 if drift else 0


if __name__ == "__main__":
    sys.exit(main())
