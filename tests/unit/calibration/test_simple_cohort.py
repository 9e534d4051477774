"""Rates by the simple cohort rule, worked out by hand and by a second, plainer program."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.cohort_snapshot import cohort_snapshot
from core.calibration.financings import DAYS_PER_MONTH
from core.calibration.history import History
from core.calibration.simple_cohort import count_transitions, time_events
from core.errors import BadInput
from core.stages import Stage
from db.reference_calibrations import reference_calibration
from tests.unit.calibration.histories import AS_OF, SOURCE, read

HELD = """
    grown   Grown   saas    sold
    skipped Skipped biotech alive
    silent  Silent  games   alive
    dead    Dead    biotech dead
    lost    Lost    -       alive
"""
RAISED = """
    grown   seed    2010-01-01
    grown   angel   2010-01-01
    grown   angel   2010-06-01
    grown   a       2011-01-01
    skipped seed    2010-01-01
    skipped b       2012-01-01
    skipped c       2014-01-01
    skipped d       2016-01-01
    silent  seed    2019-12-31
    dead    a       2012-01-01
    lost    a       2012-01-01
    lost    venture 2015-01-01
"""


def test_counts_worked_out_by_hand() -> None:
    counts = count_transitions(read(HELD, RAISED))
    seed, a, b, c = (counts[stage] for stage in Stage)
    # Seed: grown twice (one day counts once): stay, graduate; skipped: graduate; silent: nothing since.
    assert (seed.companies, seed.financings, seed.stayed, seed.graduated, seed.skipped) == (3, 4, 1, 2, 1)
    assert (seed.exited, seed.failed, seed.silent, seed.left_out) == (0, 0, 1, 0)
    # A: grown was sold, dead died, lost raised again at a stage nobody knows.
    assert (a.companies, a.financings, a.exited, a.failed, a.silent, a.left_out) == (3, 3, 1, 1, 0, 1)
    assert (b.financings, b.graduated, b.skipped) == (1, 1, 0)
    # C: a later round is a stay; no graduation from the last stage.
    assert (c.financings, c.companies, c.stayed, c.silent, c.graduated) == (2, 1, 1, 1, 0)


def test_rates_worked_out_by_hand() -> None:
    counts = count_transitions(read(HELD, RAISED))
    seed, a = counts[Stage.SEED].rates(), counts[Stage.A].rates()
    assert (seed.exit_rate, seed.graduate_rate, seed.failure_rate) == (0.0, 2 / 4, 1 / 4)
    assert (a.exit_rate, a.graduate_rate, a.failure_rate) == (1 / 2, 0.0, 1 / 2)


@pytest.mark.parametrize(
    ("status", "raised", "outcomes"),
    [
        ("alive", "c1 seed 2010-01-01 - 2011-01-01 5", "exited"),
        ("alive", "c1 seed 2010-01-01 - 2011-01-01 0", "failed"),
        ("alive", "c1 seed 2010-01-01 - 2011-01-01 -", "failed"),
        ("sold", "c1 seed 2010-01-01 - 2011-01-01 0", "failed"),
        ("alive", "c1 seed 2010-01-01 - 2020-01-02 5", "silent"),
        ("alive", "c1 seed 2010-01-01 - 2011-01-01 5\n c1 a 2012-01-01", "exited silent"),
        ("alive", "c1 seed 2010-01-01 - 2013-01-01 5\n c1 a 2012-01-01", "graduated exited"),
        ("alive", "c1 seed 2010-01-01 - 2013-01-01 5\n c1 a 2012-01-01 - 2013-01-01 0", "graduated exited"),
        ("alive", "c1 seed 2010-01-01 - 2012-01-01 5\n c1 a 2012-01-01", "graduated exited"),
        ("dead", "c1 seed 2010-01-01 - 2015-01-01 0\n c1 seed 2012-01-01", "stayed failed"),
    ],
)
def test_a_disposal_ends_the_financing_it_falls_in_and_beats_the_status(
    status: str, raised: str, outcomes: str
) -> None:
    counts = count_transitions(read(f"c1 One saas {status}", raised))
    names = ("exited", "graduated", "stayed", "failed", "silent", "left_out")
    found = Counter({name: sum(getattr(of, name) for of in counts.values()) for name in names})
    assert +found == Counter(outcomes.split())


def test_an_end_after_the_as_of_date_has_not_happened_yet() -> None:
    (seed,) = count_transitions(read("c1 One saas sold - 2020-02-01", "c1 seed 2010-01-01")).values()
    assert (seed.exited, seed.silent) == (0, 1)
    (seed,) = count_transitions(read("c1 One saas sold - 2020-01-01", "c1 seed 2010-01-01")).values()
    assert (seed.exited, seed.silent) == (1, 0)


def plain_outcomes(history: History) -> Counter[tuple[str, str]]:
    """The rule again, company by company, for histories without disposals."""
    tally: Counter[tuple[str, str]] = Counter()
    order = list(Stage)
    for company in history.companies.iter_rows(named=True):
        path = sorted(
            {
                (row["date"], order.index(Stage(row["stage"])))
                for row in history.rounds.iter_rows(named=True)
                if row["company_id"] == company["company_id"]
            }
        )
        for place, here in enumerate(path):
            after = path[place + 1] if place + 1 < len(path) else None
            unknown = company["unplaced_on"]
            if after is not None:
                outcome = "graduate" if after[1] > here[1] else "stay"
            elif unknown is not None and unknown > here[0]:
                outcome = "left_out"
            else:
                outcome = {"exited": "exit", "failed": "failure", "operating": "silent"}[company["status"]]
            tally[order[here[1]], outcome] += 1
    return tally


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["c1", "c2", "c3"]),
            st.sampled_from(["seed", "a", "b", "c", "venture"]),
            st.integers(0, 8),
        ),
        max_size=15,
    )
)
@settings(max_examples=60, deadline=None)
def test_counts_agree_with_a_plain_walk_over_each_company(drawn: list[tuple[str, str, int]]) -> None:
    lines = [f"{company} {kind} {date(2010, 1, 1) + timedelta(days=day)}" for company, kind, day in drawn]
    history = read(
        "c1 One saas alive\n c2 Two saas sold\n c3 Three saas dead", "\n".join(["c1 seed 2009-01-01", *lines])
    )
    names = {
        "exit": "exited",
        "graduate": "graduated",
        "stay": "stayed",
        "failure": "failed",
        "silent": "silent",
        "left_out": "left_out",
    }
    counts = count_transitions(history)
    assert plain_outcomes(history) == +Counter(
        {(stage, name): getattr(of, names[name]) for stage, of in counts.items() for name in names}
    )


def test_an_undated_end_lies_between_the_last_round_and_the_as_of_date() -> None:
    held = "c1 One saas sold\n c2 Two saas sold - 2011-01-01\n c3 Three saas dead"
    raised = "c1 a 2010-01-01\n c1 debt 2012-01-01\n c2 a 2010-01-01\n c3 a 2010-01-01"
    exits, failures = time_events(read(held, raised))
    debt, end, known = (
        (day - date(2010, 1, 1)).days / DAYS_PER_MONTH for day in (date(2012, 1, 1), AS_OF, date(2011, 1, 1))
    )
    assert (exits.stage, exits.event, exits.dated, exits.undated) == (Stage.A, "exit", 1, 1)
    assert exits.months_start == pytest.approx((debt + known) / 2)
    assert exits.months_end == pytest.approx((end + known) / 2)
    assert exits.months_mid == pytest.approx(((debt + end) / 2 + known) / 2)
    assert (failures.event, failures.dated, failures.undated) == ("failure", 0, 1)
    assert (failures.months_start, failures.months_mid, failures.months_end) == pytest.approx((0, end / 2, end))


def test_the_snapshot_holds_measured_rates_and_takes_the_rest_from_the_reference() -> None:
    reference = reference_calibration()
    history = read(HELD, RAISED)
    counts = count_transitions(history)
    snapshot = cohort_snapshot(history, counts, SOURCE, "v1", reference)
    assert snapshot.transition_stats == {stage: counts[stage].rates() for stage in Stage}
    assert snapshot.exit_outcomes == reference.exit_outcomes
    assert snapshot.deal_terms == reference.deal_terms
    assert snapshot.benchmark_version == reference.version
    assert snapshot.sectors == {"Health": 2, "Other": 1, "Software": 2}
    assert {(multipliers.risk, multipliers.returns) for multipliers in snapshot.sector_multipliers.values()} == {(1, 1)}
    assert snapshot.sample_sizes == {Stage.SEED: 3, Stage.A: 3, Stage.B: 1, Stage.C: 1}
    assert snapshot.sample_size == 5
    assert snapshot.data_window == "2010-01-01 to 2020-01-01"
    assert snapshot.provenance["transition_stats"]["A"]["left_out"] == 1


def test_a_stage_without_a_known_outcome_is_in_no_part_of_the_snapshot() -> None:
    reference = reference_calibration()
    history = read("c1 One saas alive", "c1 seed 2010-01-01\n c1 b 2012-01-01\n c1 venture 2013-01-01")
    snapshot = cohort_snapshot(history, count_transitions(history), SOURCE, "v1", reference)
    for part in (snapshot.transition_stats, snapshot.exit_outcomes, snapshot.deal_terms, snapshot.sample_sizes):
        assert set(part) == {Stage.SEED}
    assert set(snapshot.provenance["transition_stats"]) == {"Seed", "B"}


def test_a_history_of_nothing_but_unknown_outcomes_is_refused() -> None:
    reference = reference_calibration()
    history = read("c1 One saas alive", "c1 b 2012-01-01\n c1 venture 2013-01-01")
    with pytest.raises(BadInput, match="no stage has a financing whose outcome is known"):
        cohort_snapshot(history, count_transitions(history), SOURCE, "v1", reference)


def test_a_reference_that_lacks_an_observed_stage_is_refused_by_name() -> None:
    reference = reference_calibration()
    partial = reference.model_copy(update={"exit_outcomes": {Stage.SEED: reference.exit_outcomes[Stage.SEED]}})
    history = read(HELD, RAISED)
    with pytest.raises(BadInput) as refused:
        cohort_snapshot(history, count_transitions(history), SOURCE, "v1", partial)
    assert [problem.rule for problem in refused.value.problems] == [
        f"has no exit outcomes for stage {stage}, which the history holds" for stage in ("A", "B", "C")
    ]
