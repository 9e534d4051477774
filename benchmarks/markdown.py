"""A benchmark's measurements as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

Session = Mapping[str, Any]

STAGES: dict[str, Callable[[Session], float]] = {
    "waiting for the flow to begin": lambda s: s["first"]["result"]["timings"]["waiting"],
    "matrix, generated and stored": lambda s: s["first"]["result"]["timings"]["matrix"],
    "primary solve": lambda s: s["first"]["result"]["solver"]["pass1Seconds"],
    "tie-break solve": lambda s: s["first"]["result"]["solver"]["pass2Seconds"],
    "optimization as a stage": lambda s: s["first"]["result"]["timings"]["optimize"],
    "validation": lambda s: s["first"]["result"]["timings"]["validate"],
    "**whole session**": lambda s: s["first"]["result"]["timings"]["total"],
    "**whole command**, wall clock": lambda s: s["first"]["seconds"],
    "repeat: matrix, a hit": lambda s: s["repeat"]["result"]["timings"]["matrix"],
    "repeat: whole session": lambda s: s["repeat"]["result"]["timings"]["total"],
    "repeat: whole command": lambda s: s["repeat"]["seconds"],
}


def report(document: Mapping[str, Any]) -> str:
    """document: as `session_stages --json` writes it."""
    size, sessions = document["size"], document["sessions"]
    shape = f"{size['buckets']} buckets x {size['scenarios']} scenarios; CVaR share {size['cvar_share']:g}"
    parts = [
        "## Machine",
        table(["", ""], [[name, str(value)] for name, value in document["machine"].items()]),
        f"First command on an empty home, both servers set up: {document['emptyHomeSeconds']:.1f} s.",
    ]
    for share in size["loss_shares"]:
        group = [session for session in sessions if session["loss_share"] == share]
        parts += [
            f"## {shape}; loss cap {share:.0%} of the unconstrained",
            _stages(group),
            _primary_solve(group, size),
            _ratio_line(group, size["naive_limit_s"]),
        ]
    return "\n\n".join([*parts, "## Matrix payload", _payload(document["payload"])])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _stages(group: Sequence[Session]) -> str:
    rows = []
    for name, seconds in STAGES.items():
        values = [seconds(session) for session in group]
        rows.append([name, f"{median(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}"])
    return table([f"seconds; matrices: {len(group)}", "median", "least", "most"], rows)


def _primary_solve(group: Sequence[Session], size: Mapping[str, Any]) -> str:
    rows, limit_s = [], size["naive_limit_s"]
    for session in group:
        result, naive = session["first"]["result"], session["naive"]
        solver = result["solver"]
        losses = round(result["lossProbability"] * size["scenarios"])
        rows.append(
            [
                session["seed"],
                f"{losses} / {session['allowed_losses']} / {session['free_losses']}",
                solver["status"] + (", relaxed" if result["relaxations"] else ""),
                f"{solver['gap']:.4%}",
                f"{solver['nodes']:,}",
                f"{solver['work']:,}",
                "yes" if solver["tieBreak"]["proven"] else "no",
                f"{solver['pass1Seconds']:.2f}",
                f"{naive['seconds']:.1f}" if naive["finished"] else f"> {limit_s:g}",
                _naive_answer(naive, solver),
                "yes" if session["sameAllocation"] else "NO",
            ]
        )
    head = ["matrix", "losses / allowed / unconstrained", "status", "gap", "nodes", "work", "tie-break proven"]
    return table([*head, "primary solve, s", "textbook, s", "textbook answer", "repeat equal to the bit"], rows)


def _naive_answer(naive: Mapping[str, Any], solver: Mapping[str, Any]) -> str:
    if naive["objective"] is None:
        return "none"
    difference = naive["objective"] / solver["objective"] - 1
    verdict = "" if naive["feasible"] else f", breaks its limits ({naive['strict_losses']} losses)"
    return f"{difference:+.3%}{verdict}"


def _ratio_line(group: Sequence[Session], limit_s: float) -> str:
    ratios = [_textbook_seconds(s, limit_s) / s["first"]["result"]["solver"]["pass1Seconds"] for s in group]
    late = sum(not session["naive"]["finished"] for session in group)
    return (
        f"Textbook / primary solve: median {median(ratios):.1f}, least {min(ratios):.1f}, most {max(ratios):.1f}; "
        f"{late} of {len(group)} ended at the limit of {limit_s:g} s, which counts as {limit_s:g} s."
    )


def _textbook_seconds(session: Session, limit_s: float) -> float:
    seconds: float = session["naive"]["seconds"] if session["naive"]["finished"] else limit_s
    return seconds


def _payload(payload: Mapping[str, float]) -> str:
    ratio = payload["jsonBytes"] / payload["payloadBytes"]
    rows = [
        ["raw float32", f"{payload['rawBytes']:,} bytes"],
        ["stored payload (zlib)", f"{payload['payloadBytes']:,} bytes"],
        ["the same numbers as JSON", f"{payload['jsonBytes']:,} bytes, {ratio:.1f} times the payload"],
        ["simulate", f"{payload['generateMs']:.1f} ms"],
        ["encode", f"{payload['encodeMs']:.2f} ms"],
        ["decode and verify the checksum", f"{payload['decodeMs']:.2f} ms"],
        ["parse the JSON", f"{payload['jsonParseMs']:.2f} ms"],
    ]
    return table(["", ""], rows)
