"""Numbers as people read them. Every estimate is written with its interval and what it rests on."""

from pairloop.metrics import Estimate

MINUS = "−"


def percent(estimate: Estimate) -> str:
    """The value in per cent, without its interval."""
    return f"{100 * estimate.value:.1f} %"


def amount(estimate: Estimate) -> str:
    """The value with three decimals."""
    return signed(estimate.value)


def interval(estimate: Estimate, *, percent: bool = True) -> str:
    """``[low, high]``, or that there is none."""
    if estimate.low is None or estimate.high is None:
        return "[no interval: one group]"
    if percent:
        return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    return f"[{signed(estimate.low)}, {signed(estimate.high)}]"


def count(estimate: Estimate, unit: str = "group") -> str:
    """What an estimate rests on: ``n = 41 in 2 groups``."""
    return f"n = {estimate.n:,} in {plural(estimate.clusters, unit)}"


def signed(value: float, digits: int = 3) -> str:
    """A number with a real minus sign and no negative zero."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def plural(n: float, noun: str) -> str:
    """``1 vote``, ``2 votes``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def short(value: float | None, digits: int = 4) -> str:
    """Up to ``digits`` significant digits, thousands separated; a dash for None."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"
    return text.replace("-", MINUS)
