"""Whatever a sound history holds, a calibration of it is a sound snapshot that can be told, or refused by rule."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.calibration import calibrate_by_survival
from core.calibration.snapshot import CalibrationSnapshot
from core.calibration.survival import SurvivalTerms
from core.calibration.tables import calibration_tables
from core.charts.calibration_report import remarks
from core.errors import BadInput
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations
from tests.unit.calibration.histories import SOURCE, read

(REFERENCE,) = [one for one in reference_calibrations() if one.version == DEFAULT_REFERENCE]
FIRST_DAY = date(2005, 1, 1)

days = st.integers(0, 5500).map(lambda number: FIRST_DAY + timedelta(days=number))


@st.composite
def rounds_of(draw: st.DrawFn, company: str) -> list[str]:
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        kind, day = draw(st.sampled_from(["seed", "a", "b", "c", "venture", "debt"])), draw(days)
        amount = draw(st.sampled_from(["-", "0", "100"]))
        sale = draw(st.none() | st.integers(0, 3000))
        disposed = "-" if sale is None else day + timedelta(days=sale)
        proceeds = "-" if sale is None else draw(st.sampled_from(["-", "0", "50", "700"]))
        lines.append(f"{company} {kind} {day} {amount} {disposed} {proceeds}")
    return lines


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, str]:
    """Companies and rounds as text. Reading is for the test: a strategy should take no time, and draw from nothing else
    (Hypothesis minds when another thread of the process draws a random number meanwhile)."""
    companies, raised = [], ["c0 seed 2010-01-01"]
    for number in range(draw(st.integers(1, 6))):
        status, category = draw(st.sampled_from(["alive", "sold", "dead"])), draw(st.sampled_from(["saas", "biotech"]))
        dated = "2020-06-01" if status != "alive" and draw(st.booleans()) else "-"
        companies.append(f"c{number} Name {category} {status} - {dated}")
        raised += draw(rounds_of(f"c{number}"))
    return "\n".join(companies), "\n".join(raised)


@given(
    histories(),
    st.sampled_from([None, 12.0, 48.0]),
    st.sampled_from([60.0, 120.0]),
    st.sampled_from([0.0, 0.5, 20.0]),
)
@settings(max_examples=80, deadline=None)
def test_any_sound_history_gives_a_sound_snapshot(
    history: tuple[str, str], dormant: float | None, horizon: float, weight: float
) -> None:
    terms = SurvivalTerms(dormant_after_months=dormant, horizon_months=horizon, prior_weight=weight)
    try:
        calibration = calibrate_by_survival(read(*history), SOURCE, "v1", REFERENCE, terms)
    except BadInput:
        assert weight == 0.0
        return
    snapshot = calibration.snapshot
    assert CalibrationSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert all(multiplier.risk > 0 for multiplier in snapshot.sector_multipliers.values())
    for stage, estimate in calibration.estimates.stages.items():
        spells = estimate.spells
        assert sum(spells.count(cause) for cause in ("graduate", "exit", "failure", "censored")) == spells.causes.size
        assert (spells.earliest >= 0).all()
        assert (spells.earliest <= spells.latest).all()
        assert snapshot.sample_sizes[stage] == spells.causes.size
    for table in calibration_tables(calibration, compare=True):
        assert all(len(row) == len(table.head) for row in table.rows)
    assert remarks(calibration)
