"""Survival calibration as a whole: rates, shrinkage, sectors, multiples, and what is said about them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from core.calibration.aalen_johansen import aalen_johansen
from core.calibration.calibration import calibrate_by_simple_cohort, calibrate_by_survival
from core.calibration.history import History
from core.calibration.outcomes import realized_multiples
from core.calibration.snapshot import CalibrationSnapshot
from core.calibration.survival import SurvivalTerms, survival_estimates
from core.calibration.tables import calibration_tables
from core.charts.calibration_report import calibration_report, remarks
from core.charts.incidence import incidence_chart
from core.errors import BadInput
from core.stages import Stage
from db.reference_calibrations import DEFAULT_REFERENCE, reference_calibrations
from tests.unit.calibration.histories import AS_OF, SOURCE, read

(REFERENCE,) = [one for one in reference_calibrations() if one.version == DEFAULT_REFERENCE]
OWN = SurvivalTerms(prior_weight=0.0)


def drawn_history(companies: int, *, risk: dict[str, float] | None = None, seed: int = 0) -> History:
    """Seed companies that, with constant hazards, graduate (.02 a month), are sold (.01) or die (.015 times the
    sector's risk), all on known days, and are otherwise still alive on the as-of date."""
    draw = np.random.default_rng(seed)
    categories = {"saas": 1.0, "biotech": 1.0} | (risk or {})
    held, raised = [], []
    for number in range(companies):
        category = list(categories)[number % len(categories)]
        start = AS_OF - timedelta(days=int(draw.integers(1, 3000)))
        hazards = np.array([0.02, 0.01, 0.015 * categories[category]])
        end = start + timedelta(days=1 + int(draw.exponential(1 / hazards.sum()) * 365.25 / 12))
        cause = int(draw.choice(3, p=hazards / hazards.sum()))
        status = ("alive", "sold", "dead")[cause] if end <= AS_OF else "alive"
        day = end if status != "alive" else "-"
        held.append(f"c{number:05} Name {category} {status} - {day}")
        raised.append(f"c{number:05} seed {start}")
        if cause == 0 and end <= AS_OF:
            raised.append(f"c{number:05} a {end}")
    return read("\n".join(held), "\n".join(raised))


@pytest.fixture(scope="module")
def known() -> History:
    return drawn_history(4000)


def test_the_rates_of_a_known_world_are_found_where_simple_cohort_counts_the_living_as_dead(known: History) -> None:
    terms = replace(OWN, dormant_after_months=None, horizon_months=18.0)
    seed = survival_estimates(known, terms, REFERENCE).stages[Stage.SEED]
    gone = 1 - math.exp(-0.045 * 18)
    truth = np.array([0.02, 0.01, 0.015]) / 0.045 * gone
    assert np.all(np.abs(seed.estimate.rates - truth) < 4 * seed.estimate.standard_errors)
    cohort = calibrate_by_simple_cohort(known, SOURCE, "v1", REFERENCE).snapshot.transition_stats[Stage.SEED]
    in_the_end = 1 / 3
    assert cohort.failure_rate > in_the_end + 0.05
    assert seed.rates.failure_rate / (1 - (1 - gone)) == pytest.approx(in_the_end, abs=0.03)


def test_the_prior_has_the_stated_weight(known: History) -> None:
    own = survival_estimates(known, OWN, REFERENCE).stages[Stage.SEED]
    rounds = own.estimate.company_rounds
    half = survival_estimates(known, replace(OWN, prior_weight=rounds), REFERENCE).stages[Stage.SEED]
    assert (own.credibility, half.credibility) == (1.0, pytest.approx(0.5))
    prior = REFERENCE.transition_stats[Stage.SEED]
    for name in ("exit_rate", "graduate_rate", "failure_rate"):
        middle = (getattr(own.rates, name) + getattr(prior, name)) / 2
        assert getattr(half.rates, name) == pytest.approx(middle)
    assert half.sector_rates["Software"] != half.rates


def test_a_stage_seen_for_no_time_is_the_prior_or_nothing() -> None:
    history = read("c1 One saas alive\n c2 Two saas alive", f"c1 seed 2015-01-01\n c2 a {AS_OF}")
    with_prior = survival_estimates(history, SurvivalTerms(), REFERENCE)
    assert with_prior.stages[Stage.A].rates == REFERENCE.transition_stats[Stage.A]
    assert with_prior.stages[Stage.A].credibility == 0.0
    assert set(survival_estimates(history, OWN, REFERENCE).stages) == {Stage.SEED}
    nothing = read("c1 One saas alive", f"c1 seed {AS_OF}")
    with pytest.raises(BadInput, match="no stage was observed for any time"):
        calibrate_by_survival(nothing, SOURCE, "v1", REFERENCE, OWN)


def test_a_sector_that_fails_more_often_has_a_higher_failure_rate_and_the_others_a_lower_one() -> None:
    history = drawn_history(6000, risk={"biotech": 2.0})
    risk = survival_estimates(history, SurvivalTerms(dormant_after_months=None), REFERENCE).risk
    assert risk["Health"].value / risk["Software"].value == pytest.approx(2.0, rel=0.15)
    observed = sum(multiplier.observed for multiplier in risk.values())
    # Over all sectors what is expected is what happened, exactly.
    assert sum(multiplier.expected for multiplier in risk.values()) == pytest.approx(observed)


def test_multiples_of_sold_stakes_move_outcomes_and_sector_multipliers() -> None:
    sold = [f"s{n} seed 2010-01-01 100 2014-01-01 {multiple * 100}" for n, multiple in enumerate((2, 4, 8, 16))]
    sold += [f"h{n} seed 2010-01-01 100 2014-01-01 {multiple * 100}" for n, multiple in enumerate((1, 2, 4, 8))]
    sold += ["n0 seed 2010-01-01 - 2014-01-01 500", "n1 seed 2010-01-01 100 2014-01-01 0"]
    held = [f"s{n} Soft saas alive" for n in range(4)] + [f"h{n} Bio biotech alive" for n in range(4)]
    history = read("\n".join([*held, "n0 None saas alive", "n1 None saas alive"]), "\n".join(sold))
    found = survival_estimates(history, SurvivalTerms(prior_weight=1e-9), REFERENCE)
    seed = found.stages[Stage.SEED]
    # A stake of unknown cost has no multiple, and one sold for nothing is a failure.
    assert (seed.exits_with_multiple, seed.outcome_credibility) == (8, pytest.approx(1.0))
    assert seed.outcome.median_moic == pytest.approx(4.0)
    assert found.returns["Software"].value == pytest.approx(math.sqrt(2.0))
    assert found.returns["Health"].value == pytest.approx(math.sqrt(0.5))
    shrunk = survival_estimates(history, SurvivalTerms(prior_weight=4.0), REFERENCE).returns["Software"]
    assert (shrunk.value, shrunk.credibility) == (pytest.approx(2.0**0.25), 0.5)


def test_equal_multiples_without_a_prior_show_no_spread_and_are_refused() -> None:
    history = read("c1 One saas alive", "c1 seed 2010-01-01 100 2014-01-01 300")
    with pytest.raises(BadInput, match=r"priorWeight = 0\.0: must be above 0: the 1 sold stakes of stage Seed"):
        survival_estimates(history, OWN, REFERENCE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dormant_after_months": 0.0}, "dormantAfterMonths = 0.0: must be above 0"),
        ({"dormant_after_months": math.nan}, "dormantAfterMonths = nan"),
        ({"round_months": -1.0}, "roundMonths = -1.0: must be above 0"),
        ({"horizon_months": math.inf}, "horizonMonths = inf"),
        ({"prior_weight": -0.5}, "priorWeight = -0.5: must be 0 or more"),
        ({"horizon_months": 48.0}, r"horizonMonths = 48.0: must be above dormantAfterMonths \(48\)"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(change: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(SurvivalTerms(), **change)


def test_a_reference_that_lacks_a_stage_is_refused_by_name() -> None:
    partial = REFERENCE.model_copy(update={"transition_stats": {}})
    with pytest.raises(BadInput, match="has no transitions for stage Seed"):
        survival_estimates(read("c1 One saas alive", "c1 seed 2010-01-01"), SurvivalTerms(), partial)


def test_the_snapshot_says_how_it_came_about(known: History) -> None:
    calibration = calibrate_by_survival(known, SOURCE, "v1", REFERENCE, SurvivalTerms())
    snapshot, seed = calibration.snapshot, calibration.estimates.stages[Stage.SEED]
    assert CalibrationSnapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert snapshot.method == "survival"
    assert snapshot.transition_stats[Stage.SEED] == seed.rates
    assert snapshot.deal_terms[Stage.SEED] == REFERENCE.deal_terms[Stage.SEED]
    assert snapshot.exit_outcomes[Stage.SEED] == REFERENCE.exit_outcomes[Stage.SEED]
    assert snapshot.sector_multipliers["Software"].risk == calibration.estimates.risk["Software"].value
    told = snapshot.provenance
    assert told["survival"]["dormant_after_months"] == 48.0
    assert told["transition_stats"]["Seed"]["own_share"] == seed.credibility
    assert told["exit_outcomes"]["Seed"] == {
        "prior": f"benchmark {REFERENCE.version}",
        "exits": 0,
        "own_share": 0.0,
    }
    curve = told["transition_stats"]["Seed"]["incidence"]
    at_two_years = curve["months"].index(24.0)
    assert curve["failure"]["share"][at_two_years] == pytest.approx(seed.incidence.at(24.0)[2])
    assert curve["failure"]["low"][at_two_years] < curve["failure"]["share"][at_two_years]
    assert seed.rates.failure_rate != told["sector_rates"]["Seed"]["Software"]["failure_rate"]


def test_rows_in_another_order_give_the_same_snapshot() -> None:
    held = ["c1 One saas sold", "c2 Two biotech alive", "c3 Three saas dead"]
    raised = ["c1 seed 2010-01-01", "c2 seed 2011-01-01", "c2 a 2013-01-01", "c3 seed 2017-01-01"]
    there, back = (
        calibrate_by_survival(read("\n".join(h), "\n".join(r)), SOURCE, "v1", REFERENCE, SurvivalTerms()).snapshot
        for h, r in ((held, raised), (held[::-1], raised[::-1]))
    )
    assert there.model_dump_json() == back.model_dump_json()


def test_the_report_shows_every_table_the_chart_and_the_remarks(known: History) -> None:
    calibration = calibrate_by_survival(known, SOURCE, "v|1", REFERENCE, SurvivalTerms())
    report = calibration_report(calibration, compare=True)
    assert report.startswith("# Calibration v\\|1")
    for table in calibration_tables(calibration, compare=True):
        assert f"## {table.title}" in report
        assert all(len(row) == len(table.head) for row in table.rows)
    assert len(re.findall(r"!\[[^]]+\]\(data:image/svg\+xml;base64,", report)) == 1
    assert all(remark in report for remark in remarks(calibration))
    assert "Both methods side by side" not in calibration_report(calibration, compare=False)
    assert calibration_report(calibration, compare=True) == report


def test_a_simple_cohort_compared_keeps_its_own_snapshot_and_shows_both(known: History) -> None:
    alone = calibrate_by_simple_cohort(known, SOURCE, "v1", REFERENCE)
    compared = calibrate_by_simple_cohort(known, SOURCE, "v1", REFERENCE, SurvivalTerms())
    assert compared.snapshot == alone.snapshot
    titles = [table.title for table in calibration_tables(compared, compare=True)]
    assert "What followed each financing" in titles
    assert "Both methods side by side: chances per round, and what they lead to" in titles
    assert "counts a company that still operates" in calibration_report(compared, compare=True)


def test_the_chart_has_a_panel_a_stage_and_the_same_bytes_each_time() -> None:
    incidence = aalen_johansen(np.array([3.0, 5.0, 9.0, 80.0]), np.array([1, 2, 3, 0]), 3)
    once = incidence_chart({Stage.SEED: incidence, Stage.B: incidence}, 72.0)
    assert incidence_chart({Stage.SEED: incidence, Stage.B: incidence}, 72.0) == once
    shown = "".join(ET.fromstring(once).itertext())
    assert all(part in shown for part in ("Seed  (4 companies)", "B  (4 companies)", "exited", "failed", "months"))


def test_what_a_snapshot_is_for_decides_whether_dilution_is_taken_out_of_its_multiples() -> None:
    history = read("c1 One saas alive", "c1 seed 2010-01-01 100 2014-01-01 300\n c1 a 2011-01-01")
    terms = SurvivalTerms(prior_weight=1e-9)
    diluted = REFERENCE.cap_table
    retained = (1 - diluted.dilution_per_round_pct) * (1 - diluted.option_pool_refresh_pct)
    for version, median in (("us_venture_2004_2013", 3.0), ("us_venture_2004_2013_v2", 3.0 / retained)):
        (reference,) = [one for one in reference_calibrations() if one.version == version]
        snapshot = calibrate_by_survival(history, SOURCE, "v1", reference, terms).snapshot
        assert snapshot.exit_outcomes[Stage.SEED].median_moic == pytest.approx(median)
        assert snapshot.exit_outcomes_fitted_for == reference.exit_outcomes_fitted_for


def test_nothing_after_the_as_of_date_is_used() -> None:
    later = read(
        "c1 One saas sold - 2020-06-01\n c2 Two saas alive",
        "c1 seed 2018-01-01\n c2 seed 2018-01-01\n c2 a 2020-06-01",
        as_of=date(2020, 1, 1),
    )
    seed = survival_estimates(later, SurvivalTerms(), REFERENCE).stages[Stage.SEED]
    assert seed.spells.causes.tolist() == [0, 0]


def test_dilution_is_taken_out_of_realized_multiples_for_each_later_stage_until_the_sale() -> None:
    history = read(
        "c1 One saas alive\n c2 Two saas alive\n c3 Three saas alive",
        "c1 seed 2010-01-01 100 2014-01-01 300\n c1 a 2011-01-01\n c1 a 2011-06-01\n c1 b 2012-01-01\n"
        "c1 c 2015-01-01\n"
        "c2 seed 2010-01-01 100 2014-01-01 500\n c2 seed 2011-01-01\n c3 b 2010-01-01 100 2014-01-01 200",
    )
    plain, undone = realized_multiples(history), realized_multiples(history, 0.8)
    assert np.exp(plain[Stage.SEED].log_multiples) == pytest.approx([3.0, 5.0])
    # The first was sold after its company had raised an A and a B, and before the C.
    assert np.exp(undone[Stage.SEED].log_multiples) == pytest.approx([3.0 / 0.8**2, 5.0])
    assert np.exp(undone[Stage.B].log_multiples) == pytest.approx([2.0])


def test_without_a_prior_a_sector_nobody_failed_in_is_refused_by_name() -> None:
    history = read(
        "c1 One saas alive\n c2 Two biotech dead - 2014-01-01\n c3 Three saas alive\n c4 Four biotech alive",
        "c1 seed 2013-01-01\n c2 seed 2013-01-01\n c3 seed 2012-01-01\n c4 seed 2012-01-01",
    )
    terms = SurvivalTerms(dormant_after_months=None, prior_weight=0.0)
    with pytest.raises(BadInput, match=r"priorWeight = 0\.0: must be above 0: no company of sector Software failed"):
        survival_estimates(history, terms, REFERENCE)
    assert survival_estimates(history, replace(terms, prior_weight=0.1), REFERENCE).risk["Software"].value > 0
