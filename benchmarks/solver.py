"""The solver against HiGHS and SCIP on the textbook program, pass by pass, and how its time grows with size.

    python -m benchmarks.solver                     20 x 250, one instance a family and cap; about two minutes
    python -m benchmarks.solver --whole             20 x 250, 48 x 400 and 48 x 1000, three instances; hours
    python -m benchmarks.solver --sizes 100x400     other sizes
    python -m benchmarks.solver --growth            time against size, up to 500 x 5,000, with a chart

All in one run, one thread, processor time, gap 1e-4. Ours: median of three. A peer that reaches its limit counts once.
Nothing is asserted: a slow machine gives slow numbers. Peers need `pip install 'vcfolio[benchmark]'`.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.instances import LEAST, Family, Instance, make_instance
from benchmarks.markdown import table
from benchmarks.naive_program import NaiveOutcome, solve_naively
from benchmarks.scip_program import solve_by_scip
from core.charts.canvas import BLUE, ORANGE, RED, drawing, picture
from core.portfolio.tie_break import deviations, tie_break_program
from core.solver.backends import make_backend
from core.solver.program import Interruption, SolveControl, SolveOutcome

RELATIVE_GAP = 1e-4
REPEATS = 3
NO_LIMIT = 2**62
EPSILON = 1e-3
SMOKE_SIZES, WHOLE_SIZES = ["20x250"], ["20x250", "48x400", "48x1000"]
GROWTH_SIZES = ["12x100", "20x250", "48x400", "48x1000", "100x400", "100x1000", "200x2000", "500x5000"]
CAPS = [0.9, 0.75, 0.5, 0.3]
WHOLE_CAPS = [*CAPS, LEAST]
FAMILIES: list[Family] = ["single", "averaged", "model"]


@dataclass(frozen=True, slots=True)
class Ours:
    """seconds: of processor time, median; status and figures of the last run. early: the answer after a few seconds."""

    seconds: float
    status: str
    objective: float | None
    bound: float
    gap: float
    nodes: int
    work: int
    early: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    instance: str
    family: Family
    size: str
    cap: float
    only_cvar_binds: bool
    first: Ours
    second: Ours | None
    highs: NaiveOutcome | None
    scip: NaiveOutcome | None


class Stopwatch:
    """Stops a solve at a limit of processor time, and remembers the answer at an earlier moment."""

    def __init__(self, limit_s: float, early_s: float) -> None:
        self._began = time.process_time()
        self._limit_s, self._early_s = limit_s, early_s
        self.early: float | None = None
        self.latest: float | None = None

    def control(self) -> SolveControl:
        return SolveControl(
            relative_gap=RELATIVE_GAP, work_limit=NO_LIMIT, interrupted=self._interrupted, progress=self._progress
        )

    def seconds(self) -> float:
        return time.process_time() - self._began

    def _interrupted(self) -> Interruption | None:
        return "time" if self.seconds() > self._limit_s else None

    def _progress(self, progress: object) -> None:
        self.latest = getattr(progress, "objective", None)
        if self.seconds() <= self._early_s:
            self.early = self.latest


def measure_ours(
    solve: Callable[[SolveControl], SolveOutcome], limit_s: float, early_s: float
) -> tuple[Ours, SolveOutcome]:
    seconds = []
    while True:
        watch = Stopwatch(limit_s, early_s)
        outcome = solve(watch.control())
        seconds.append(watch.seconds())
        if len(seconds) == REPEATS or not outcome.reproducible:
            break
    early = outcome.objective if seconds[-1] <= early_s else watch.early
    ours = Ours(
        median(seconds),
        outcome.status,
        outcome.objective,
        outcome.bound,
        outcome.gap,
        outcome.nodes,
        outcome.work,
        early,
    )
    return ours, outcome


def measure(instance: Instance, limit_s: float, early_s: float, *, peers: bool) -> Measured:
    program = instance.program
    backend = make_backend("branch-and-bound")
    first, answer = measure_ours(lambda control: backend.maximize(program, control), limit_s, early_s)
    second = None
    if answer.x is not None and answer.objective is not None:
        tie_break, start = tie_break_program(program, answer.objective - EPSILON), deviations(answer.x)
        second, _ = measure_ours(lambda control: backend.maximize(tie_break, control, start), limit_s, early_s)
    highs = scip = None
    if peers:
        highs = solve_naively(program, relative_gap=RELATIVE_GAP, time_limit_s=limit_s, clock=time.process_time)
        scip = solve_by_scip(program, relative_gap=RELATIVE_GAP, time_limit_s=limit_s)
    size = f"{instance.n_buckets}x{instance.n_scenarios}"
    losses_bind = first.nodes > 0 or answer.x is None or _losses_bind(instance, answer)
    return Measured(instance.name, instance.family, size, instance.cap, not losses_bind, first, second, highs, scip)


def _losses_bind(instance: Instance, answer: SolveOutcome) -> bool:
    """Whether the loss limit takes part: the answer uses all its losses."""
    assert answer.x is not None
    program = instance.program
    losses = int(np.count_nonzero(program.payoffs @ answer.x < 1.0))
    return losses >= program.max_losses


def instances(
    sizes: Sequence[str], families: Sequence[Family], caps: Sequence[float], seeds: int
) -> Iterator[Instance]:
    for size in sizes:
        n_buckets, n_scenarios = map(int, size.split("x"))
        for family in families:
            for cap in caps:
                for seed in range(1, seeds + 1):
                    yield make_instance(family, n_buckets, n_scenarios, seed, cap)


def compile_kernels() -> float:
    """Seconds until the first small solve is done: loading the kernels, or compiling them if nobody has."""
    began = time.perf_counter()
    from core.warmup import warm_up  # noqa: PLC0415 - this is what is measured

    warm_up()
    return time.perf_counter() - began


def report(measured: Sequence[Measured], limit_s: float, early_s: float) -> str:
    head = ["instance", "gap", "nodes", "first, s", "second, s", "HiGHS, s", "SCIP, s", "/ HiGHS", "/ SCIP"]
    rows = [_row(m, limit_s) for m in measured]
    return "\n\n".join([table(head, rows), *_summary(measured, limit_s, early_s)])


def _row(m: Measured, limit_s: float) -> list[str]:
    return [
        m.instance + (" (only CVaR binds)" if m.only_cvar_binds else ""),
        f"{m.first.gap:.2%}" if m.first.objective is not None else m.first.status,
        f"{m.first.nodes:,}",
        _seconds(m.first.seconds, limit_s),
        "" if m.second is None else _seconds(m.second.seconds, limit_s),
        *("" if peer is None else _seconds(peer.seconds, limit_s) for peer in (m.highs, m.scip)),
        *("" if peer is None else _ratio(m, peer, limit_s) for peer in (m.highs, m.scip)),
    ]


def _seconds(seconds: float, limit_s: float) -> str:
    return f"> {limit_s:g}" if seconds >= limit_s else f"{seconds:.3f}"


def _ratio(m: Measured, peer: NaiveOutcome, limit_s: float) -> str:
    ratio = min(peer.seconds, limit_s) / m.first.seconds
    return f"{'> ' if not peer.finished else ''}{ratio:.1f}"


def _summary(measured: Sequence[Measured], limit_s: float, early_s: float) -> list[str]:
    lines = []
    for name, peer in (("HiGHS", [m.highs for m in measured]), ("SCIP", [m.scip for m in measured])):
        both = [(m, p) for m, p in zip(measured, peer, strict=True) if p is not None and p.finished]
        ratios = [p.seconds / m.first.seconds for m, p in both if not m.only_cvar_binds]
        if ratios:
            lines.append(
                f"Where {name} closes within {limit_s:g} s and not only CVaR binds ({len(ratios)}): "
                f"median {median(ratios):.0f} times faster, least {min(ratios):.1f}."
            )
    pairs = [(m.first.seconds, m.second.seconds) for m in measured if m.second is not None]
    if pairs:
        lines.append(f"Tie-break solve / primary solve: median {median(b / a for a, b in pairs):.2f}.")
    hard = [m for m in measured if m.cap <= 0.3]
    if hard:
        closed = sum(m.first.status in ("optimal", "infeasible") for m in hard)
        lines.append(
            f"Caps of at most 30%: {closed} of {len(hard)} closed within {limit_s:g} s. {_early(hard, early_s)}"
        )
    return lines


def _early(hard: Sequence[Measured], early_s: float) -> str:
    pairs = [(m.first.early, m.scip.objective) for m in hard if m.scip is not None and m.scip.feasible]
    good = sum(ours is not None and theirs is not None and ours >= theirs * (1 - 1e-6) for ours, theirs in pairs)
    return (
        f"After {early_s:g} s at least as good as SCIP's strictly feasible answer at its end: {good} of {len(pairs)}."
    )


def _extent(measured: Measured) -> int:
    n_buckets, n_scenarios = measured.size.split("x")
    return int(n_buckets) * int(n_scenarios)


def growth_chart(measured: Sequence[Measured], limit_s: float) -> bytes:
    with drawing() as (figure, axes):
        for family, color in zip(FAMILIES, (BLUE, ORANGE, RED), strict=True):
            points = sorted((m for m in measured if m.family == family), key=_extent)
            size = [_extent(m) for m in points]
            axes.plot(size, [m.first.seconds for m in points], "o-", color=color, label=family)
            late = [(x, m.first.seconds) for x, m in zip(size, points, strict=True) if m.first.status == "feasible"]
            axes.plot([x for x, _ in late], [y for _, y in late], "x", color=color, markersize=12)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("buckets x scenarios")
        axes.set_ylabel("primary solve, seconds of processor time")
        axes.set_title(f"Time against size (crossed: gap still open after {limit_s:g} s)")
        axes.legend()
        return picture(figure, "svg", "Solver time against program size, log-log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="all sizes of the documentation, three instances each")
    parser.add_argument("--growth", action="store_true", help="time against size instead of ratios; no peers")
    parser.add_argument("--sizes", nargs="+", help="buckets x scenarios, e.g. 48x400")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--caps", nargs="+", type=float, help="shares of the losses without risk limits; 0: the fewest")
    parser.add_argument("--seeds", type=int, help="instances of each kind")
    parser.add_argument("--limit", type=float, help="seconds for each solve")
    parser.add_argument("--early", type=float, default=5.0, help="seconds after which answers are compared as well")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--chart", type=Path, help="write the growth chart here")
    args = parser.parse_args()
    limit_s = args.limit or (60.0 if args.whole or args.growth else 5.0)
    sizes = args.sizes or (GROWTH_SIZES if args.growth else WHOLE_SIZES if args.whole else SMOKE_SIZES)
    caps = args.caps or ([0.75] if args.growth else WHOLE_CAPS if args.whole else CAPS)
    seeds = args.seeds or (3 if args.whole else 1)
    print(f"Kernels ready after {compile_kernels():.1f} s.", flush=True)
    measured = []
    for instance in instances(sizes, args.families, caps, seeds):
        measured.append(measure(instance, limit_s, args.early, peers=not (args.no_peers or args.growth)))
        print("| " + " | ".join(_row(measured[-1], limit_s)) + " |", flush=True)
        if args.json:
            args.json.write_text(json.dumps([asdict(m) for m in measured], indent=1))
    print("\n" + report(measured, limit_s, args.early))
    print(f"\nLargest resident memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.")
    if args.chart:
        args.chart.write_bytes(growth_chart(measured, limit_s))


if __name__ == "__main__":
    main()
