"""Which task a run of Prefect's is of: its name begins with the task's."""

from __future__ import annotations

import re


def task_of(run_name: str) -> str:
    return re.split("[ _-]", run_name)[0]
