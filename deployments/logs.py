"""Logs of long-running processes: a line each on standard error; as JSON where no person reads them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

FIELDS = ("session_id", "epoch", "stage")
OURS = ("core", "db", "tasks", "flows", "deployments")


def configure_logs(component: str, **fields: object) -> None:
    """For this process. Of libraries only warnings and above are logged.

    fields: of FIELDS, what every line tells that does not say otherwise itself.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_ours_or_serious)
    handler.setFormatter(_Plain(component) if sys.stderr.isatty() else _Json(component, fields))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def _ours_or_serious(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS


class _Json(logging.Formatter):
    """One object a line: time (UTC), level, component, logger, message, and which session, epoch and stage."""

    def __init__(self, component: str, fields: Mapping[str, object]) -> None:
        super().__init__()
        self._component = component
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "component": self._component,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= self._fields
        # Prefect's loggers name the task; a task is a stage.
        line |= {"stage": record.task_name} if hasattr(record, "task_name") else {}
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Plain(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__(f"%(asctime)s {component:8} %(levelname)-7s %(message)s", "%H:%M:%S")
