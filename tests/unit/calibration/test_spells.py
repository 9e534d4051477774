"""How long each company was at a stage and what ended it: by hand, and by a plain walk over each company."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.calibration.financings import DAYS_PER_MONTH
from core.calibration.history import History
from core.calibration.spells import CAUSES, StageSpells, silences_broken, stage_spells
from core.stages import Stage
from tests.unit.calibration.histories import AS_OF, read

START = date(2016, 1, 1)
"""Exactly 48 months of 365.25 / 12 days before AS_OF."""


def months(until: date, since: date = START) -> float:
    return (until - since).days / DAYS_PER_MONTH


def only_spell(company: str, raised: str, stage: Stage = Stage.SEED, dormant: float | None = 48.0) -> StageSpells:
    spells = stage_spells(read(company, raised), dormant)[stage]
    assert spells.causes.size == 1
    return spells


def outcome(spells: StageSpells) -> tuple[str, float, float]:
    (cause,) = spells.causes
    return ("censored", *CAUSES)[cause], float(spells.earliest[0]), float(spells.latest[0])


@pytest.mark.parametrize(
    ("status", "raised", "cause", "earliest", "latest"),
    [
        ("alive", "c1 seed 2016-01-02", "censored", AS_OF, AS_OF),
        ("alive", "c1 seed 2016-01-02\n c1 a 2017-01-01", "graduate", date(2017, 1, 1), None),
        ("alive", "c1 seed 2016-01-02\n c1 b 2017-01-01", "graduate", date(2017, 1, 1), None),
        ("alive", "c1 seed 2016-01-02\n c1 seed 2017-01-01\n c1 a 2018-01-01", "graduate", date(2018, 1, 1), None),
        ("alive", "c1 seed 2016-01-02\n c1 venture 2017-01-01", "censored", date(2017, 1, 1), None),
        ("sold", "c1 seed 2016-01-02\n c1 venture 2017-01-01", "censored", date(2017, 1, 1), None),
        ("sold", "c1 seed 2016-01-02", "exit", date(2016, 1, 2), AS_OF),
        ("dead", "c1 seed 2016-01-02\n c1 debt 2018-01-01", "failure", date(2018, 1, 1), AS_OF),
        ("sold - 2019-01-01", "c1 seed 2016-01-02", "exit", date(2019, 1, 1), None),
        ("dead - 2021-01-01", "c1 seed 2016-01-02", "censored", AS_OF, None),
        ("alive", "c1 seed 2016-01-02 - 2017-01-01 5", "exit", date(2017, 1, 1), None),
        ("alive", "c1 seed 2016-01-02 - 2017-01-01 0", "failure", date(2017, 1, 1), None),
        ("sold", "c1 seed 2016-01-02 - 2017-01-01 -\n c1 seed 2018-01-01", "failure", date(2017, 1, 1), None),
        ("alive", "c1 seed 2016-01-02 - 2018-01-01 5\n c1 a 2017-01-01", "graduate", date(2017, 1, 1), None),
    ],
)
def test_what_ended_a_spell_and_when(status: str, raised: str, cause: str, earliest: date, latest: date | None) -> None:
    found, first, last = outcome(only_spell(f"c1 One saas {status}", raised))
    assert found == cause
    since = date(2016, 1, 2)
    assert (first, last) == pytest.approx((months(earliest, since), months(latest or earliest, since)))


def test_silence_is_a_failure_from_the_day_it_has_lasted_long_enough() -> None:
    silent = only_spell("c1 One saas alive", "c1 seed 2014-01-01")
    assert outcome(silent) == ("failure", 48.0, 48.0)
    assert silent.dormant.tolist() == [True]
    heard = only_spell("c1 One saas alive", "c1 seed 2014-01-01\n c1 debt 2015-01-01")
    assert outcome(heard)[0] == "failure"
    assert outcome(heard)[1] == pytest.approx(48.0 + 365 / DAYS_PER_MONTH)
    assert outcome(only_spell("c1 One saas alive", "c1 seed 2014-01-01", dormant=None))[0] == "censored"
    # 2016-01-01 to 2020-01-01 are 1,461 days: 48 months to the day.
    assert outcome(only_spell("c1 One saas alive", "c1 seed 2016-01-01"))[0] == "failure"
    assert outcome(only_spell("c1 One saas alive", "c1 seed 2016-01-02"))[0] == "censored"


def test_silences_that_ended_are_counted() -> None:
    history = read("c1 One saas alive", "c1 seed 2010-01-01\n c1 seed 2014-01-01\n c1 a 2016-01-01")
    assert (silences_broken(history, 48.0), silences_broken(history, 49.0)) == (1, 0)


def test_an_undated_end_is_put_where_asked() -> None:
    spells = only_spell("c1 One saas sold", "c1 seed 2016-01-01\n c1 debt 2017-01-01")
    first, last = months(date(2017, 1, 1)), months(AS_OF)
    found = [float(spells.months(at)[0]) for at in ("earliest", "midpoint", "latest")]
    assert found == pytest.approx([first, (first + last) / 2, last])
    assert spells.undated.tolist() == [True]


def plain_spells(history: History, dormant: float) -> dict[tuple[str, Stage], tuple[str, float, float]]:
    """The rule again, company by company, for histories without disposals."""
    found = {}
    order = list(Stage)
    for company in history.companies.iter_rows(named=True):
        path = sorted(
            (row["date"], order.index(Stage(row["stage"])))
            for row in history.rounds.iter_rows(named=True)
            if row["company_id"] == company["company_id"]
        )
        for stage in {code for _, code in path}:
            start = min(day for day, code in path if code == stage)
            later = [day for day, code in path if code > stage]
            heard = company["last_round_on"]
            dead_on = heard + timedelta(days=dormant * DAYS_PER_MONTH)
            if later:
                end = ("graduate", later[0], later[0])
            elif company["unplaced_on"]:
                end = ("censored", company["unplaced_on"], company["unplaced_on"])
            elif company["status"] != "operating":
                end = ({"exited": "exit", "failed": "failure"}[company["status"]], heard, history.as_of)
            elif dead_on <= history.as_of:
                end = ("failure", dead_on, dead_on)
            else:
                end = ("censored", history.as_of, history.as_of)
            found[company["company_id"], order[stage]] = (end[0], months(end[1], start), months(end[2], start))
    return found


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["c1", "c2", "c3"]),
            st.sampled_from(["seed", "a", "b", "c", "venture", "debt"]),
            st.integers(0, 3600),
        ),
        max_size=15,
    )
)
@settings(max_examples=60, deadline=None)
def test_spells_agree_with_a_plain_walk_over_each_company(drawn: list[tuple[str, str, int]]) -> None:
    lines = [f"{company} {kind} {date(2010, 1, 2) + timedelta(days=day)}" for company, kind, day in drawn]
    history = read(
        "c1 One saas alive\n c2 Two saas sold\n c3 Three saas dead", "\n".join(["c1 seed 2010-01-01", *lines])
    )
    expected = plain_spells(history, 36.0)
    for stage, spells in stage_spells(history, 36.0).items():
        # One spell a company, in order of their ids.
        ids = sorted(company for company, at in expected if at is stage)
        for position, company in enumerate(ids):
            cause, first, last = expected.pop((company, stage))
            assert ("censored", *CAUSES)[spells.causes[position]] == cause
            assert (spells.earliest[position], spells.latest[position]) == pytest.approx(
                (first, last), abs=0.04
            )  # a day
    assert expected == {}


def test_counts_and_sectors() -> None:
    history = read(
        "c1 One saas alive\n c2 Two biotech alive\n c3 Three saas sold",
        "c1 seed 2018-01-01\n c2 seed 2018-01-01\n c2 b 2019-01-01\n c3 seed 2018-01-01",
    )
    seed = stage_spells(history, 48.0)[Stage.SEED]
    assert [seed.count(cause) for cause in (*CAUSES, "censored")] == [1, 1, 0, 1]
    assert seed.sectors == ("Software", "Health", "Software")
    assert seed.of_sector("Software").tolist() == [True, False, True]
    assert (seed.skipped.tolist(), seed.cut_short.any()) == ([False, True, False], np.False_)
