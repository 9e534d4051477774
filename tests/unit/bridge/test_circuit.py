from __future__ import annotations

from core.errors import Unavailable
from deployments.bridge.circuit import FIRST_PAUSE_S, LONGEST_PAUSE_S, Circuit


class Prefect:
    """Answers or does not; counts the probes. now: the circuit's clock."""

    def __init__(self) -> None:
        self.away = False
        self.probes = 0
        self.now = 1000.0
        self.circuit = Circuit(self.probe, lambda: self.now)

    def probe(self) -> None:
        self.probes += 1
        if self.away:
            raise Unavailable(f"probe {self.probes} failed")


def test_without_failures_nothing_is_probed() -> None:
    prefect = Prefect()
    assert all(prefect.circuit.allows() for _ in range(5))
    assert (prefect.probes, prefect.circuit.reason) == (0, None)


def test_once_tripped_it_waits_before_it_probes_and_closes_when_that_succeeds() -> None:
    prefect = Prefect()
    prefect.circuit.trip("connection refused")
    assert not prefect.circuit.allows()
    assert (prefect.probes, prefect.circuit.reason) == (0, "connection refused")
    prefect.now += FIRST_PAUSE_S
    assert prefect.circuit.allows()
    assert (prefect.probes, prefect.circuit.reason) == (1, None)


def test_probes_back_off_to_a_limit_and_report_the_latest_reason() -> None:
    prefect = Prefect()
    prefect.away = True
    prefect.circuit.trip("connection refused")
    pauses = []
    for expected in range(1, 9):
        began = prefect.now
        while prefect.probes < expected:
            prefect.now += 0.25
            assert not prefect.circuit.allows()
        pauses.append(prefect.now - began)
        assert prefect.circuit.reason == f"probe {expected} failed"
    assert pauses == [FIRST_PAUSE_S, 1, 2, 4, 8, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_after_an_outage_the_backoff_starts_over() -> None:
    prefect = Prefect()
    prefect.away = True
    prefect.circuit.trip("connection refused")
    for _ in range(5):
        prefect.now += LONGEST_PAUSE_S
        prefect.circuit.allows()
    prefect.away = False
    prefect.now += LONGEST_PAUSE_S
    assert prefect.circuit.allows()
    prefect.circuit.trip("again")
    prefect.now += FIRST_PAUSE_S
    assert prefect.circuit.allows()
