"""What two replies to one case mean, and the report of the agreement suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agreement.differences import (
    FITTING_TOLERANCE,
    METRIC_TOLERANCE,
    RENDERING_TOLERANCE,
    Values,
    differing_share,
    fitting_difference,
    metric_difference,
    rendering_difference,
)
from implementations.workers import Reply

METRICS: dict[str, tuple[Callable[[Values, Values], float], float]] = {
    "haspi": (metric_difference, METRIC_TOLERANCE),
    "hasqi": (metric_difference, METRIC_TOLERANCE),
    "haaqi": (metric_difference, METRIC_TOLERANCE),
    "nalr": (fitting_difference, FITTING_TOLERANCE),
    "compressor": (fitting_difference, FITTING_TOLERANCE),
    "render": (rendering_difference, RENDERING_TOLERANCE),
}
# The one error with which HearLab refuses input.
REFUSAL = "InputError"
WORST_SHOWN = 3

# Verdicts. The last two are wrong.
AGREES = "agrees"
PUBLISHED_FAILS = "the published code fails"
REFUSED = "HearLab refuses, the published code answers"
DIFFERS = "differs"
FAILS = "HearLab fails"


@dataclass(frozen=True)
class Outcome:
    """One case: its verdict, how far the answers are apart (None if they cannot be compared), both in words."""

    metric: str
    name: str
    about: str
    verdict: str
    difference: float | None
    ours: str
    theirs: str
    edge: bool


def judge(metric: str, name: str, about: str, ours: Reply, theirs: Reply, *, edge: bool) -> Outcome:
    """Compare the replies of both implementations; `edge` cases may be refused by HearLab."""
    difference, tolerance = METRICS[metric]
    apart: float | None = None
    if ours.error is not None and (ours.error != REFUSAL or not (edge or not _answered(theirs))):
        verdict = FAILS
    elif not _answered(theirs):
        verdict = FAILS if ours.error is None and not _finite(ours) else PUBLISHED_FAILS
    elif ours.error is not None:
        verdict = REFUSED
    else:
        assert ours.values is not None
        assert theirs.values is not None
        apart = difference(ours.values, theirs.values)
        verdict = AGREES if apart <= tolerance else DIFFERS
        if metric == "render" and np.isfinite(apart):
            about += f", {100 * differing_share(ours.values, theirs.values):.4f} % of samples differ"
    return Outcome(metric, name, about, verdict, apart, _words(ours), _words(theirs), edge)


def wrong(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.verdict in (DIFFERS, FAILS)]


def describe(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> str:
    """A table by metric, then the worst cases, then every case that one implementation does not answer."""
    lines = [
        "| metric | random cases | compared | largest difference | allowed | wrong | published fails | edge cases |",
        "| - | -: | -: | -: | -: | -: | -: | -: |",
    ]
    for metric in metrics:
        own = [outcome for outcome in outcomes if outcome.metric == metric]
        drawn = [outcome for outcome in own if not outcome.edge]
        compared = _compared(drawn)
        largest = f"{max(compared, key=_apart).difference:.1e}" if compared else ""
        failed = sum(outcome.verdict == PUBLISHED_FAILS for outcome in own)
        lines.append(
            f"| {metric} | {len(drawn)} | {len(compared)} | {largest} | {METRICS[metric][1]:g} "
            f"| {len(wrong(own))} | {failed} | {len(own) - len(drawn)} |"
        )
    lines += ["", "Largest differences:"]
    for metric in metrics:
        compared = _compared([outcome for outcome in outcomes if outcome.metric == metric])
        for outcome in sorted(compared, key=_apart, reverse=True)[:WORST_SHOWN]:
            lines.append(f"- {outcome.difference:.1e} {_title(outcome)}")
    for title, verdicts in (
        ("Wrong:", (DIFFERS, FAILS)),
        ("Where the published code fails:", (PUBLISHED_FAILS,)),
        ("What HearLab refuses and the published code answers:", (REFUSED,)),
    ):
        listed = [outcome for outcome in outcomes if outcome.verdict in verdicts and outcome.metric in metrics]
        if listed:
            lines += ["", title]
        for outcome in listed:
            apart = "" if outcome.difference is None else f" ({outcome.difference:.1e} apart)"
            lines.append(f"- {_title(outcome)}{apart}: published: {outcome.theirs}; HearLab: {outcome.ours}")
    return "\n".join(lines)


def _title(outcome: Outcome) -> str:
    return outcome.name if outcome.edge else f"{outcome.name}: {outcome.about}"


def _compared(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.difference is not None]


def _apart(outcome: Outcome) -> float:
    return outcome.difference or 0.0


def _answered(reply: Reply) -> bool:
    return reply.error is None and _finite(reply)


def _finite(reply: Reply) -> bool:
    return reply.values is not None and all(np.all(np.isfinite(value)) for value in reply.values.values())


def _words(reply: Reply) -> str:
    if reply.error is not None:
        return f"{reply.error}: {reply.text}"[:200]
    values = reply.values or {}
    if "score" in values:
        score = f"{float(values['score']):.6f}"
        return score if _finite(reply) else f"{score}, with values that are not finite"
    return "an answer" if _finite(reply) else "values that are not finite"
