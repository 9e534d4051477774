"""The assertions for users' own tests fail where they should, and say why."""

from __future__ import annotations

from typing import Any

import pytest

import vcfolio
from tests.unit.vcfolio.test_public_face import SMALL
from vcfolio.testing import assert_limits_hold, assert_same_optimum


def optimized(**changes: Any) -> vcfolio.Result:
    return vcfolio.optimize(SMALL | changes, progress=False)


@pytest.fixture(scope="module")
def result() -> vcfolio.Result:
    return optimized()


def test_a_result_is_the_same_optimum_as_itself(result: vcfolio.Result) -> None:
    assert_same_optimum(result, optimized(), weights=0.0)


def test_other_limits_other_buckets_and_other_scenarios_are_told_apart(result: vcfolio.Result) -> None:
    with pytest.raises(AssertionError, match="limits as asked"):
        assert_same_optimum(result, optimized(cvarLimit=0.7))
    with pytest.raises(AssertionError, match="same buckets"):
        assert_same_optimum(result, optimized(buckets={"stages": ["Seed"], "sectors": ["AI", "SaaS"]}))
    with pytest.raises(AssertionError, match="best expected MOIC differs"):
        assert_same_optimum(optimized(expectations="sample"), optimized(expectations="sample", taxonomyVersion="other"))


def test_weights_are_compared_only_when_asked(result: vcfolio.Result) -> None:
    other = optimized(primaryLockEpsilon=0.2)
    assert_same_optimum(result, other)
    with pytest.raises(AssertionError, match="the weight of"):
        assert_same_optimum(result, other, weights=1e-6)


def test_limits_that_are_broken_are_listed_in_the_verdicts_words() -> None:
    broken = optimized(bucketMaxWeight=0.26, totalFundSize=10_000_000)
    with pytest.raises(AssertionError) as raised:
        assert_limits_hold(broken, limits=["bucket_max_weight"])
    (limit,) = [limit for limit in broken.verdict.limits if limit.constraint_id == "bucket_max_weight"]
    assert limit.status == "broken"
    assert limit.sentence in str(raised.value)
    with pytest.raises(KeyError):
        assert_limits_hold(broken, limits=["no_such_limit"])


def test_a_fund_that_buys_nothing_does_not_hold() -> None:
    with pytest.raises(AssertionError, match="buys no deal at all"):
        assert_limits_hold(optimized(totalFundSize=100, minExpectedWinners=0), accept=["holds", "within_error"])
