"""``pairloop annotators``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pairloop.cli.options import debug_option, folder_argument, json_option

if TYPE_CHECKING:
    from pairloop.annotators import Quality
    from pairloop.annotators.compare import Comparison
    from pairloop.metrics import Estimate
    from pairloop.store import Store

_COLUMNS = (
    "annotator", "votes", "tie", "skip", "left", "gold", "others", "sure model", "sec", "fast", "flip rate", "spammer",
)  # fmt: skip


@click.command()
@folder_argument
@click.option("--compare", "methods", multiple=True, metavar="METHOD", help="Add what an aggregation method says.")
@click.option(
    "--exclude", metavar="NAME", help="Let this annotator's votes count for nothing from the next training on."
)
@click.option("--include", metavar="NAME", help="Let them count again.")
@click.option("--reason", help="Why; kept with the decision.")
@click.option("--by", metavar="WHO", help="Who decides; the name of your account by default.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@debug_option
def annotators(
    folder: Path,
    methods: tuple[str, ...],
    exclude: str | None,
    include: str | None,
    reason: str | None,
    by: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Show how annotators do, and decide whose votes count.

    Shares are in per cent with 95 % intervals. Flags are tests at a false discovery rate of 5 % over all annotators;
    they change nothing by themselves. Excluded votes stay stored and are exported with a mark; they do not train,
    measure, or count as agreement.
    """
    from dataclasses import asdict

    from pairloop.annotators import quality
    from pairloop.cli.opening import open_store
    from pairloop.cli.output import emit_json
    from pairloop.errors import UsageError

    if exclude is not None and include is not None:
        raise UsageError("--exclude and --include are two decisions", "Make them one after the other.")
    if exclude is not None or include is not None:
        _decide(folder, exclude or include or "", exclude is not None, by, reason, yes, as_json)
        return
    with open_store(folder) as (store, _):
        found = quality(store)
        compared = _compared(store, found, methods)
    if as_json:
        emit_json(found.as_json() | {"comparison": {name: asdict(each) for name, each in compared.items()}})
        return
    _tell(found)
    _tell_compared(compared)


def _compared(store: "Store", found: "Quality", methods: tuple[str, ...]) -> dict[str, "Comparison"]:
    from pairloop.annotators.compare import compare
    from pairloop.registry import Registry

    registry = Registry()
    return {name: compare(store, found, registry.spec("aggregator", name, "--compare").factory()) for name in methods}


def _tell_compared(compared: dict[str, "Comparison"]) -> None:
    from pairloop.cli.output import line, table

    if not compared:
        return
    names = sorted({name for each in compared.values() for name in each.skill})
    table(("skill by", *compared), [(name, *(each.skill.get(name) for each in compared.values())) for name in names])
    for method, each in compared.items():
        if each.correlation is not None:
            line(f"{method}: rank correlation {each.correlation:.2f} with 1 - flip rate of the joint fit")


def _decide(
    folder: Path, name: str, excluded: bool, by: str | None, reason: str | None, yes: bool, as_json: bool
) -> None:
    from pairloop.cli.opening import open_campaign, open_store
    from pairloop.cli.output import emit_json, line
    from pairloop.quality import votes_of

    with open_store(folder) as (store, _):
        votes = votes_of(store, name)
    what = "exclude" if excluded else "include again"
    if not yes and not click.confirm(f"{what.capitalize()} {name!r} ({votes} votes)?", err=True):
        line("Nothing was changed.")
        return
    with open_campaign(folder, as_json=as_json) as (campaign, _):
        changed = campaign.decide_annotator(name, excluded=excluded, decided_by=by or _account(), reason=reason)
    if as_json:
        emit_json({"annotator": name, "excluded": excluded, "votes": votes, "changed": changed})
    elif not changed:
        line(f"{name} is {'excluded' if excluded else 'included'} already.")
    else:
        line(
            f"{votes} votes of {name} {'count for nothing' if excluded else 'count again'} from the next training on."
            " To train now: pairloop reopen, pairloop step"
        )


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name in the environment, and none in the system's list
        return "unknown"


def _tell(found: "Quality") -> None:
    from pairloop.cli.output import line, table

    if not found.annotators:
        line("Nobody has voted yet.")
        return
    table(_COLUMNS, [_row(person) for person in found.annotators])
    line(f"Agreement of people: {_alpha(found)}")
    if found.gold:
        suspect = ", ".join(str(item.line) for item in found.gold if item.suspect)
        more = f"; most people give another answer on line {suspect}: check the file" if suspect else ""
        line(f"Gold items: {len(found.gold)}{more}")
    flags = [(person.name, flag) for person in found.annotators for flag in person.flags]
    line(f"Flags (5 % of them are false on average; {found.tests} tests): {'' if flags else 'none'}")
    for name, flag in sorted(flags, key=lambda item: item[1].p):
        line(f"  {name}  {flag.test}: {flag.evidence} (p = {flag.p:.2g}, adjusted {flag.adjusted:.2g})")
    for person in found.annotators:
        if person.decision is not None:
            decision = person.decision
            why = f": {decision.reason}" if decision.reason else ""
            line(f"  {person.name}  excluded by {decision.decided_by} at {decision.at}{why}")


def _row(person: Any) -> tuple[Any, ...]:
    n, fit = person.numbers, person.fit
    mark = " (excluded)" if person.decision is not None else ""
    flip = None if "flip_rate" not in fit else _percent(fit["flip_rate"], fit.get("flip_low"), fit.get("flip_high"))
    return (
        f"{person.name}{mark}",
        n.votes,
        f"{100 * n.tie:.0f}",
        f"{100 * n.skip:.0f}",
        _share(n.left),
        _share(n.gold),
        _share(n.others),
        _share(n.model),
        None if n.seconds is None else f"{n.seconds:.3g}",
        None if n.fast is None else f"{100 * n.fast:.0f}",
        flip,
        None if "spammer" not in fit else f"{100 * fit['spammer']:.0f}",
    )


def _share(estimate: "Estimate | None") -> str | None:
    if estimate is None:
        return None
    return f"{_percent(estimate.value, estimate.low, estimate.high)} of {estimate.n}"


def _percent(value: float, low: float | None, high: float | None) -> str:
    spread = "" if low is None or high is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * value:.0f}{spread}"


def _alpha(found: "Quality") -> str:
    from pairloop.annotators.facts import FEWEST_PAIRS

    if found.alpha is None:
        return f"{found.shared} pairs with two people or more, {FEWEST_PAIRS} are needed (quality.overlap_share)"
    text = f"alpha {found.alpha.value:.2f}"
    if found.alpha.low is not None and found.alpha.high is not None:
        text += f" [{found.alpha.low:.2f}, {found.alpha.high:.2f}]"
    at_random = found.alpha_random
    if at_random is not None and at_random.low is not None and at_random.high is not None:
        text += f", on randomly drawn pairs {at_random.value:.2f} [{at_random.low:.2f}, {at_random.high:.2f}]"
    return f"{text} over {found.shared} pairs"
