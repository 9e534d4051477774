"""What there is to say of a result beside its verdict, sentence by sentence; every view shows these words."""

from __future__ import annotations

from collections.abc import Sequence

from core.formatting import dollars, multiple, percent, plural, short_dollars, signed_multiple
from core.result.model import (
    Answer,
    ComparisonPortfolio,
    Conflict,
    Constraint,
    Holding,
    LimitedEstimate,
    OutOfSample,
    Relaxation,
    RiskDifference,
    ShadowPrice,
    TieBreak,
    Validation,
    Verdict,
)
from core.result.wording import (
    COMPARISON_NAMES,
    OTHER_SEEDS,
    STATUS_WORDS,
    Figure,
    constraint_limit,
    constraint_name,
)

PROVEN_GAIN = 5e-5
"""An interval narrower than what is printed is no news."""


def purchase_sentences(allocation: Sequence[Holding]) -> tuple[str, ...]:
    """What to buy, the most expensive position first: "12 Seed AI deals at $1.5M (first check $1M, reserves $0.5M)"."""
    bought = [holding for holding in allocation if holding.deal_count > 0]
    bought.sort(key=lambda holding: (-holding.deal_count * holding.all_in_cost_per_deal, holding.bucket_id))
    return tuple(
        f"{plural(holding.deal_count, f'{_round_name(holding.stage)} {holding.sector} deal')} at "
        f"{short_dollars(holding.all_in_cost_per_deal)} (first check {short_dollars(holding.avg_check_size)}, reserves "
        f"{short_dollars(holding.all_in_cost_per_deal - holding.avg_check_size)})"
        for holding in bought
    )


def _round_name(stage: str) -> str:
    """As the trade calls the round: Seed, Series A."""
    return f"Series {stage}" if len(stage) == 1 else stage


def whole_deals_sentence(validation: Validation) -> str:
    deals = validation.whole_deals
    if deals.deal_count == 0:
        return f"The weights buy no whole deal; {dollars(deals.uninvested_usd)} stay in cash."
    return f"The weights buy {plural(deals.deal_count, 'whole deal')}; {dollars(deals.uninvested_usd)} stay in cash."


def proof_sentences(answer: Answer) -> tuple[str, ...]:
    """How good the answer is proven to be on its own scenarios."""
    solver, tie_break = answer.solver, answer.solver.tie_break
    if solver.gap is None or solver.bound is None:
        first = (
            f"The best expected MOIC found is {multiple(solver.objective, 4)} on these scenarios; no bound is proven"
        )
    else:
        which = "the scenarios" if solver.risk_scenarios is None else f"the {solver.risk_scenarios:,} scenarios"
        among = ", spread evenly over sectors that nothing tells apart," if solver.even_sectors else ""
        first = (
            f"On {which} it was chosen on, no portfolio within these limits{among} is better by more than "
            f"{percent(solver.gap, 4)} (best found {multiple(solver.objective, 4)}, proven bound "
            f"{multiple(solver.bound, 4)}"
        )
        first += f"; {solver.backend}, {plural(solver.nodes, 'node')})"
    sentences = [f"{first}.", _against_the_world(answer)]
    if solver.status != "optimal":
        sentences.append("The work limit was reached before the proof was closed; a larger workLimit narrows the gap.")
    nearest = "proven to be" if tie_break.proven else "not proven to be"
    sentences.append(
        f"Among portfolios within {multiple(answer.primary_lock_epsilon, 4)} of the best it is {nearest} the closest "
        "to equal weights."
    )
    unique = uniqueness_sentence(tie_break)
    if unique is not None:
        sentences.append(unique)
    if not solver.reproducible:
        sentences.append("A time limit cut the solve short: this answer is not reproducible.")
    return tuple(sentences)


def _against_the_world(answer: Answer) -> str:
    """What a proof on a sample says of the distribution that the sample is of."""
    gap = answer.solver.true_gap
    if answer.solver.expectations.source == "sample":
        return "Of other scenarios of the same kind that proves nothing: on those, another portfolio may be the best."
    expected = multiple(answer.expected_moic, 4)
    if gap is None or gap.upper is None:
        return f"By the distribution that the scenarios are drawn from, it expects {expected}."
    sure = "" if gap.confidence == 1.0 else f", with a confidence of {percent(gap.confidence, 0)}"
    most = f"no portfolio that keeps the limits there expects more than {multiple(gap.upper, 4)}{sure}"
    if gap.lower is None:
        return (
            f"By the distribution that the scenarios are drawn from, {most}; this one expects {expected}, but is not "
            "shown to keep every limit there."
        )
    return f"By the distribution that the scenarios are drawn from, it expects {expected}, and {most}."


def uniqueness_sentence(tie_break: TieBreak) -> str | None:
    """None for a result of a version that did not ask.

    The difference is rounded to tenths of a percentage point, which is what counts as one at all.
    """
    if tie_break.least_squares is not None:
        return (
            "Of the portfolios as close that lose money in the same scenarios it is the one with the least sum of "
            "squared differences to equal weights, and the only one."
            if tie_break.least_squares
            else "Which of the portfolios as close has the least sum of squared differences was not settled."
        )
    if not tie_break.asks_uniqueness:
        return None
    if tie_break.unique is None:
        return "Whether other portfolios are as close to equal weights was not settled."
    if tie_break.unique:
        return "It is the only portfolio that close to equal weights, to a tenth of a percentage point."
    assert tie_break.witness is not None
    points = 100.0 * abs(tie_break.witness.difference)
    return (
        f"Other portfolios are as close to equal weights: {tie_break.witness.bucket_id} could differ by "
        f"{points:.1f} points."
    )


def optimism_sentence(found: OutOfSample) -> str:
    error = found.expected_moic.standard_error
    known = "" if error is None else f", which is known to ± {multiple(error, 3)}"
    return (
        f"Optimism gap: the expected MOIC on its own scenarios is {signed_multiple(found.optimism_gap)} from that "
        f"out of sample{known}."
    )


def relaxation_sentences(relaxations: Sequence[Relaxation], conflict: Conflict | None) -> tuple[str, ...]:
    """What was relaxed and why; then each way in which the limits that conflict could be met."""
    if not relaxations:
        return ()
    sentences = ["No portfolio meets every limit as asked. These were relaxed, those of the lowest priority first:"]
    for moved in relaxations:
        kind = moved.constraint_type
        line = (
            f"  {constraint_name(moved.constraint_id)}: {constraint_limit(kind, moved.old_value)} -> "
            f"{constraint_limit(kind, moved.new_value)}"
        )
        if moved.proven_violation < moved.violation - 1e-6:
            line += f" (at least {moved.proven_violation:.3g} is needed; {moved.violation:.3g} was found)"
        sentences.append(line)
    explanations = [moved.explanation for moved in relaxations if moved.explanation]
    sentences += [f"  {explanation}" for explanation in dict.fromkeys(explanations)]
    if conflict is not None:
        names = "; ".join(constraint_name(constraint_id) for constraint_id in conflict.constraints)
        sentences.append(f"The limits in conflict: {names}.")
        repairs = [repair.explanation for repair in conflict.single_limit_repairs]
        sentences += [f"  {sentence}" for sentence in repairs if sentence not in explanations]
    return tuple(sentences)


def price_sentence(constraint: Constraint) -> str | None:
    """What one step of the limit would add to the expected MOIC; None where it costs nothing."""
    price = constraint.price
    if price is None or price.gain is None:
        return None
    if price.basis == "one_more_losing_scenario":
        return f"{signed_multiple(price.gain, 4)} for one more losing scenario{_proven(price)}"
    winners = constraint.type == "expected_winners_min"
    step = f"{price.step:g} expected winners" if winners else f"{100 * price.step:g} percentage point"
    return f"{signed_multiple(price.gain, 4)} for {step} looser, the same scenarios losing"


def _proven(price: ShadowPrice) -> str:
    if price.gain_at_least is None or price.gain_at_most is None:
        return ""
    if price.gain_at_most - price.gain_at_least <= PROVEN_GAIN:
        return ""
    return f" (proven: {price.gain_at_least:.4f} to {price.gain_at_most:.4f})"


def price_sentences(answer: Answer) -> tuple[str, ...]:
    """What loosening each limit would bring."""
    priced = [(constraint, price_sentence(constraint)) for constraint in answer.constraints]
    found = [f"  {constraint_name(one.constraint_id)}: {sentence}" for one, sentence in priced if sentence is not None]
    sentences = ["What loosening a limit would bring, in expected MOIC:", *found] if found else []
    if answer.solver.prices_complete is False:
        sentences.append("  Not every shadow price was settled within the work limit.")
    return tuple(sentences)


def comparison_sentences(portfolios: Sequence[ComparisonPortfolio], scenarios: int) -> tuple[str, ...]:
    """The answer beside simpler portfolios in the same scenarios out of sample."""
    return tuple(_comparison(other, scenarios) for other in portfolios)


def _comparison(other: ComparisonPortfolio, scenarios: int) -> str:
    if other.name in OTHER_SEEDS:
        return _other_seed(other)
    name = COMPARISON_NAMES[other.name]
    keep = "keep" if other.name == "equal_weights" else "keeps"
    limits = f"which {keep} every limit" if other.feasible else f"which {keep.replace('keep', 'break')} limits"
    error = "" if other.standard_error is None else f" ± {multiple(other.standard_error, 3)}"
    sentence = (
        f"Against {name}, {limits}: {signed_multiple(other.difference)}{error} in the same scenarios out of sample."
    )
    if other.risk is not None:
        sentence += f" {_risk_difference(other.risk)}"
    if other.within_noise and other.standard_error:
        sentence = f"WARNING: within the noise of {name}. {sentence}"
    elif other.dominates:
        sentence = f"WARNING: {name} expects no less and risks less. {sentence}"
    elif other.outperforms:
        sentence = f"WARNING: worse than {name} out of sample. {sentence}"
    needed = other.required_sample_size
    if needed is not None and needed > scenarios:
        sentence += f" About {needed:,} scenarios would show such a difference."
    return sentence


def _other_seed(other: ComparisonPortfolio) -> str:
    moved = "" if other.turnover is None else f"{percent(other.turnover, 1)} of the capital lies elsewhere, "
    name = COMPARISON_NAMES[other.name]
    return f"{name[0].upper()}{name[1:]}: {moved}expected MOIC {signed_multiple(-other.difference)}."


def _risk_difference(risk: RiskDifference) -> str:
    loss, tail = 100.0 * risk.loss_probability, 100.0 * risk.cvar
    return f"Its loss probability is {-loss:+.1f} points from the answer's, its CVaR {-tail:+.1f}."


def limit_verdict(verdict: Verdict, figure: Figure, validation: Validation) -> str:
    """The verdict on the limit of a figure, "too close to call; 12,000 scenarios would tell"; "" without a limit."""
    found = [limit for limit in verdict.limits if limit.constraint_id == figure.constraint]
    if not found:
        return ""
    (judged,) = found
    said = STATUS_WORDS[judged.status].lower()
    if judged.status != "within_error" or judged.asked != judged.enforced:
        return said
    return said + _would_tell(_limited(figure, validation.out_of_sample, validation.whole_deals.out_of_sample))


def kept_by_both(figure: Figure, weights: OutOfSample, whole_deals: OutOfSample) -> str:
    """Whether weights and whole deals keep a limit as enforced: "yes", "no", "within error"; "" without a limit."""
    limited = _limited(figure, weights, whole_deals)
    answers = [estimate.holds_out_of_sample for estimate in limited]
    if "no" in answers:
        return "no"
    if "within_error" in answers:
        return "within error" + _would_tell(limited)
    return "yes" if "yes" in answers else ""


def _limited(figure: Figure, *portfolios: OutOfSample) -> list[LimitedEstimate]:
    estimates = [figure.estimate(portfolio) for portfolio in portfolios]
    return [estimate for estimate in estimates if isinstance(estimate, LimitedEstimate)]


def _would_tell(estimates: Sequence[LimitedEstimate]) -> str:
    needed = [estimate.required_sample_size for estimate in estimates if estimate.required_sample_size is not None]
    return f"; {max(needed):,} scenarios would tell" if needed else ""
