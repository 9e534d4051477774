"""Ctrl-C beside work that does not stop."""

from __future__ import annotations

import logging
import signal
import threading

import pytest

from deployments.cli import interruptible


def test_abandoned_work_prints_nothing_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interruptible, "STOP_TIMEOUT_S", 0.0)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    ends, ended = threading.Event(), threading.Event()
    broken = logging.StreamHandler()
    broken.setStream(None)  # type: ignore[type-var]
    logger = logging.Logger("left behind")
    logger.addHandler(broken)

    def stubborn() -> None:
        signal.raise_signal(signal.SIGINT)
        ends.wait()
        logger.warning("still here")
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible.run_interruptibly(stubborn, give_up=lambda: None)
    ends.set()
    assert ended.wait(timeout=60)
    assert capsys.readouterr().err == ""
