"""The plots of the report: one function each, from facts to SVG. Series differ by colour *and* by shape or hatch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pairloop.metrics import Estimate
from pairloop.report import numbers
from pairloop.report.learning import ArmPoint, Calibration, Point
from pairloop.report.policy import Tuning
from pairloop.report.rounds import RoundFacts
from pairloop.report.selection import Contest
from pairloop.report.svg import INK, MUTED, PAPER, series, style, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COIN = 0.6931471805599453  # log-loss of p = 0.5, nats
_MARKERS = "osD^v"
_HATCHES = ("", "///", "\\\\\\", "xxx", "---")
_TUNED = {"reward": "learned reward (mean − k·std)", "kl": "KL to π0, nats a sequence", "length": "length, tokens"}


def _drawn(name: str, label: str, size: tuple[float, float], panels: int, draw: Callable[..., None]) -> Markup:
    """Make a figure with ``panels`` axes in a row, let ``draw(*axes)`` fill it, and write it as SVG."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", style()]):  # not what the user's matplotlibrc says
        figure: Figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        draw(*axes)
        return to_svg(figure, name, label)


def learning_curve(points: Sequence[Point], *, against: str) -> Markup:
    """Holdout accuracy and log-loss with intervals against "votes" or "cost"."""
    shown = [p for p in points if p.rejected is None and p.accuracy is not None and p.log_loss is not None]
    x = [float(p.votes if against == "votes" else p.cost) for p in shown]

    def draw(left: "Axes", right: "Axes") -> None:
        _estimates(left, x, [p.accuracy for p in shown], series(0), "o")
        left.axhline(0.5, color=MUTED, linestyle="--", linewidth=1)
        left.set_ylim(-0.02, 1.02)
        left.set_title("accuracy on holdout votes")
        _estimates(right, x, [p.log_loss for p in shown], series(1), "s")
        right.axhline(_COIN, color=MUTED, linestyle="--", linewidth=1)
        right.set_ylim(0, max(1.0, 1.25 * max(p.log_loss.value for p in shown if p.log_loss)))
        right.set_title("log-loss on holdout votes, nats")
        for axes in (left, right):
            axes.set_xlabel("votes" if against == "votes" else "money spent")
            axes.set_xlim(0, 1.05 * max(x) or 1)
            axes.annotate("a coin", (0.01, 0.5 if axes is left else _COIN), xycoords=("axes fraction", "data"),
                          xytext=(0, 3), textcoords="offset points", color=MUTED, fontsize=8)  # fmt: skip

    last = shown[-1]
    label = (
        f"Learning curve against {against}: {len(shown)} fits; the last, at {numbers.plural(last.votes, 'vote')}, has "
        f"{_spoken('accuracy', last.accuracy)} and {_spoken('log-loss', last.log_loss)}."
    )
    return _drawn(f"learning-{against}", label, (8.2, 2.9), 2, draw)


def arms(points: Sequence[ArmPoint]) -> Markup:
    """Difference of log-loss, active − random, by round; below zero active selection is better."""

    def draw(axes: "Axes") -> None:
        rounds = [float(p.round) for p in points]
        _estimates(axes, rounds, [p.difference for p in points], series(0), "o", joined=False)
        axes.axhline(0, color=INK, linewidth=1)
        reach = 1.3 * max(_reach(p.difference) for p in points) or 0.1
        axes.set_ylim(-reach, reach)
        axes.set_xlim(min(rounds) - 0.7, max(rounds) + 0.7)
        _whole(axes.xaxis)
        axes.set_xlabel("round")
        axes.set_title("log-loss, active − random, nats")
        for y, text in ((0.97, "random better"), (0.03, "active better")):
            axes.text(0.99, y, text, transform=axes.transAxes, ha="right", va="top" if y > 0.5 else "bottom",
                      color=MUTED, fontsize=8)  # fmt: skip

    last = points[-1].difference
    label = f"Active against random arm by round; in the last comparison {_spoken('difference', last)}."
    return _drawn("arms", label, (8.2, 2.7), 1, draw)


def contest(found: Contest) -> Markup:
    """The confidence sequence of the difference at equal votes, over the holdout questions judged."""

    def draw(axes: "Axes") -> None:
        axes.fill_between(found.questions, found.low, found.high, color=series(0), alpha=0.2, linewidth=0)
        axes.plot(found.questions, found.mean, color=series(0), linewidth=1.4)
        axes.axhline(0, color=INK, linewidth=1)
        narrow = found.high[len(found.high) // 5] - found.low[len(found.low) // 5]
        reach = max(narrow, 4 * abs(found.mean[-1]), 1e-3)  # the first intervals are as wide as can be
        axes.set_ylim(-reach, reach)
        axes.set_xlim(0, 1.02 * found.questions[-1])
        axes.set_xlabel("holdout questions judged")
        axes.set_title("Brier loss, active − random, running mean")
        for number, judged, mode in found.switches:
            axes.axvline(judged, color=MUTED, linestyle="--", linewidth=1)
            late = judged > 0.5 * found.questions[-1]  # the text goes where there is room
            axes.annotate(f"round {number}: {mode} chooses", (judged, 0.9), xycoords=("data", "axes fraction"),
                          xytext=(-4 if late else 4, 0), textcoords="offset points", color=MUTED, fontsize=8,
                          ha="right" if late else "left")  # fmt: skip
        for y, text in ((0.97, "random better"), (0.03, "active better")):
            axes.text(0.99, y, text, transform=axes.transAxes, ha="right", va="top" if y > 0.5 else "bottom",
                      color=MUTED, fontsize=8)  # fmt: skip

    label = (
        f"Difference of active and random choice over {numbers.plural(found.questions[-1], 'question')}: "
        f"{found.mean[-1]:.4f}, confidence sequence {found.low[-1]:.4f} to {found.high[-1]:.4f}."
    )
    return _drawn("contest", label, (8.2, 2.9), 1, draw)


def reliability(found: Calibration) -> Markup:
    """Share right against confidence, with intervals, and the number of votes of each bin."""

    def draw(axes: "Axes", bars: "Axes") -> None:
        confidence = [b.confidence for b in found.bins]
        axes.plot([0.5, 1], [0.5, 1], color=MUTED, linestyle="--", linewidth=1)
        _estimates(axes, confidence, [b.accuracy for b in found.bins], series(0), "o", joined=False)
        axes.set_xlim(0.48, 1.02)
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("what the model predicted for its side")
        axes.set_title("share of votes for that side")
        axes.annotate("perfect", (0.96, 0.97), color=MUTED, fontsize=8, ha="right", va="bottom")
        bars.bar(range(len(found.bins)), [b.accuracy.n for b in found.bins], color=series(0), edgecolor=INK,
                 linewidth=0.5)  # fmt: skip
        bars.set_xticks(range(len(found.bins)), [f"{c:.2f}" for c in confidence], rotation=45 * (len(confidence) > 6))
        bars.set_xlabel("mean prediction of the bin")
        bars.set_title("votes in the bin")
        bars.grid(visible=False, axis="x")

    label = f"Reliability diagram of {found.n} predictions; {_spoken('expected calibration error', found.ece)}."
    return _drawn("reliability", label, (8.2, 3.1), 2, draw)


def votes_by_round(rounds: Sequence[RoundFacts]) -> Markup:
    """Votes a round, stacked by arm and by choice."""

    def draw(left: "Axes", right: "Axes") -> None:
        _stacked(left, rounds, [r.by_arm for r in rounds], "votes by arm")
        _stacked(right, rounds, [r.by_choice for r in rounds], "votes by choice")

    total = sum(r.votes for r in rounds)
    label = (
        f"Votes by round, {numbers.plural(total, 'vote')} in {numbers.plural(len(rounds), 'round')}, by arm and choice."
    )
    return _drawn("votes", label, (8.2, 3.2), 2, draw)


def tuning(found: Tuning) -> Markup:
    """Reward, KL and length by step of one tuning; hollow marks are the probe prompts."""
    names = [name for name in _TUNED if any(getattr(s, name) is not None for s in found.steps)]

    def draw(*panels: "Axes") -> None:
        for i, (axes, name) in enumerate(zip(panels, names, strict=True)):
            known = _known(found, name)
            axes.plot(*zip(*known, strict=True), color=series(i), linewidth=1.4)
            probes = _known(found, f"probe_{name}")
            if probes:
                axes.plot(*zip(*probes, strict=True), color=INK, marker=_MARKERS[i], markersize=5,
                          markerfacecolor=PAPER, linestyle="none")  # fmt: skip
            axes.set_title(_TUNED[name])
            axes.set_xlabel("step")
            _whole(axes.xaxis)
            if name == "kl" and found.kl_budget is not None:
                axes.axhline(found.kl_budget, color=MUTED, linestyle="--", linewidth=1)
                axes.annotate("budget", (0.01, found.kl_budget), xycoords=("axes fraction", "data"), xytext=(0, 3),
                              textcoords="offset points", color=MUTED, fontsize=8)  # fmt: skip
                values = [value for _, value in (*known, *probes)]
                axes.set_ylim(min(0.0, *values), 1.15 * max(found.kl_budget, *values))

    label = f"Tuning in round {found.round}: {', '.join(names)} over {len(found.steps)} steps."
    return _drawn(f"tuning-{found.round}", label, (8.2, 2.7), len(names), draw)


def _known(found: Tuning, name: str) -> list[tuple[float, float]]:
    return [(step.step, getattr(step, name)) for step in found.steps if getattr(step, name) is not None]


def best_of(found: Tuning) -> Markup:
    """Reward of best-of-n against n."""

    def draw(axes: "Axes") -> None:
        n = [point[0] for point in found.best_of]
        axes.plot(n, [point[1] for point in found.best_of], color=series(0), marker="o", linewidth=1.4)
        axes.set_xscale("log", base=2)
        axes.set_xticks(n, [f"{value:g}" for value in n])
        axes.set_xlabel("n")
        axes.set_title("learned reward of the best of n samples")

    label = f"Best of n in round {found.round}: reward for n from {found.best_of[0][0]:g} to {found.best_of[-1][0]:g}."
    return _drawn(f"best-of-{found.round}", label, (8.2, 2.7), 1, draw)


# ------------------------------------------------------------------------------------------------ pieces


def _estimates(
    axes: "Axes", x: Sequence[float], estimates: Sequence[Estimate | None], colour: str, marker: str, *,
    joined: bool = True,
) -> None:  # fmt: skip
    """Points with whiskers; hollow where there is no interval."""
    known = [(a, e) for a, e in zip(x, estimates, strict=True) if e is not None]
    if joined:
        axes.plot([a for a, _ in known], [e.value for _, e in known], color=colour, linewidth=1.2, alpha=0.7)
    for a, e in known:
        if e.low is not None and e.high is not None:
            axes.vlines(a, e.low, e.high, color=colour, linewidth=1.4)
        filled = e.low is not None
        axes.plot([a], [e.value], marker=marker, color=colour, markersize=5.5, linestyle="none",
                  markerfacecolor=colour if filled else PAPER)  # fmt: skip


def _stacked(axes: "Axes", rounds: Sequence[RoundFacts], counts: Sequence[dict[str, int]], title: str) -> None:
    """Stacked bars; kinds that never occur are left out, colours and hatches stay with their kind."""
    bottom = [0] * len(rounds)
    for i, name in enumerate(counts[0]):
        values = [found[name] for found in counts]
        if any(values):
            axes.bar([r.number for r in rounds], values, bottom=bottom, color=series(i), edgecolor=PAPER,
                     linewidth=0.6, hatch=_HATCHES[i], label=name.replace("_", " "))  # fmt: skip
            bottom = [b + v for b, v in zip(bottom, values, strict=True)]
    axes.set_title(title)
    axes.set_xlabel("round")
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.25 * max(*bottom, 1))
    _whole(axes.xaxis)
    if any(bottom):
        axes.legend(ncols=3, fontsize=8, loc="upper left", handlelength=1.6, columnspacing=1.0)


def _whole(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _reach(estimate: Estimate) -> float:
    return max(abs(v) for v in (estimate.value, estimate.low, estimate.high) if v is not None)


def _spoken(name: str, estimate: Estimate | None) -> str:
    if estimate is None:
        return f"no {name}"
    if estimate.low is None or estimate.high is None:
        return f"{name} {estimate.value:.3f} without interval"
    return f"{name} {estimate.value:.3f}, 95 % interval {estimate.low:.3f} to {estimate.high:.3f}"


__all__ = ["arms", "best_of", "contest", "learning_curve", "reliability", "tuning", "votes_by_round"]
