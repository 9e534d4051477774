"""Names and numbers of a result as people write them, and one threshold for what loses money."""

from __future__ import annotations

import numpy as np
import pytest

from api.page.charts import multiples_rows
from core.formatting import limit_percent
from core.result.charts.portfolio import multiples_chart
from core.result.sentences import purchase_sentences
from core.result.wording import FIGURES, constraint_limit, constraint_name, worst_share
from db.results import session_result
from tests.unit.result.documents import STORED, holding, stored_session


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(0.35, "35%"), (0.1433333333333333, "14.33%"), (0.125, "12.5%"), (0.0, "0%"), (1.0, "100%"), (0.0001, "0.01%")],
)
def test_limits_have_at_most_two_decimals_of_a_percent(limit: float, shown: str) -> None:
    assert limit_percent(limit) == constraint_limit("cvar_max", limit) == shown


@pytest.mark.parametrize(("limit", "shown"), [(1.4, "1.4"), (40.0, "40"), (1.5493896920891075, "1.5494"), (1e-5, "0")])
def test_limits_on_winners_are_numbers_of_companies(limit: float, shown: str) -> None:
    assert constraint_limit("expected_winners_min", limit) == shown


@pytest.mark.parametrize(
    ("constraint_id", "name"),
    [
        ("p_loss_max", "Loss probability"),
        ("expected_winners_min", "Expected winners"),
        ("bucket_max_weight", "Largest bucket"),
        ("sector_max_weight:Bio:tech", "Maximum in Bio:tech"),
        ("stage_min_weight:Seed", "Minimum in stage Seed"),
    ],
)
def test_limits_have_names_and_no_ids(constraint_id: str, name: str) -> None:
    assert constraint_name(constraint_id) == name


def test_cvar_says_which_tail_it_is_the_mean_of() -> None:
    assert constraint_name("cvar_max", 0.95) == "CVaR, the average loss in the worst 5%"
    assert [worst_share(confidence) for confidence in (0.9, 0.975, 0.99)] == ["worst 10%", "worst 2.5%", "worst 1%"]


def test_purchases_are_told_in_the_trades_words_the_most_expensive_position_first() -> None:
    allocation = (
        holding("Seed_AI", 0.1, 10),
        holding("A_Bio", 0.9, 90),
        holding("B_AI", 0.0, 0),
        holding("C_AI", 0.0, 1),
    )
    assert purchase_sentences(allocation) == (
        "90 Series A Bio deals at $1M (first check $500k, reserves $500k)",
        "10 Seed AI deals at $1M (first check $500k, reserves $500k)",
        "1 Series C AI deal at $1M (first check $500k, reserves $500k)",
    )


def test_histogram_table_and_figures_count_losses_by_one_threshold() -> None:
    multiples = np.array([0.2, 1.0 - 1e-6, 1.0 - 1e-10, 1.0 - 1e-16, 1.0, 1.5, 2.0, 3.0])
    assert multiples_rows(multiples)[-1] == ("Scenarios that lose money", "25.0%")
    drawn = multiples_chart(multiples).decode()
    assert "money is lost: 25.0%" in drawn
    assert "below 1 in 25.0%" in drawn


@pytest.mark.parametrize("name", STORED)
def test_every_figure_is_read_from_a_result_by_its_json_key(name: str) -> None:
    result = session_result(stored_session(name))
    document = result.as_json()
    for figure in FIGURES:
        assert figure.of(result) == document[figure.name]
        estimate = figure.estimate(result.validation.out_of_sample)
        assert estimate.value == document["validation"]["outOfSample"][figure.name]["value"]
        assert bool(figure.asked(result.verdict)) is (figure.constraint is not None)
