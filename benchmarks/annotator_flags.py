"""How often flags of annotators are false, and how often they find who does not read. Simulated crowds.

    python benchmarks/annotator_flags.py [--seeds 200] [--first 0]

Honest people differ: ability log-normal (spread 0.4), position bias N(0, 0.3²) logits, pace log-normal (spread 0.4
between people, 0.5 within), 5 % ties. 10 % of the questions are gold items (honest people are right on about 95 %),
20 % of the other pairs are asked of a second person, the model's margins have errors of 1.8 logits. "Any false": the
share of campaigns in which an honest person has a flag; "found": the share of the guilty who have one. Intervals are
Wilson's.
"""

import argparse

import numpy as np
from scipy.stats import binomtest

from pairloop.annotators.flags import flags
from pairloop.annotators.judged import NOT_GOLD, TIE, Judged

GOLD, OVERLAP, ROUNDS, GOLD_ITEMS = 0.1, 0.2, 10, 40


def crowd(
    rng: np.random.Generator, people: int, each: int, guilty: str, share: float, overlap: float, gold: float
) -> tuple:
    """(votes, which annotators are guilty)."""
    bad = np.zeros(people, dtype=bool)
    bad[: round(people * share)] = True
    ability, bias, pace = rng.lognormal(0.3, 0.4, people), rng.normal(0, 0.3, people), rng.lognormal(0, 0.4, people)
    total = people * each
    questions = np.repeat(np.arange(people), each)[rng.permutation(total)]
    is_gold = rng.random(total) < gold
    pairs = max(round(total / (1 + overlap)), 1)
    item = GOLD_ITEMS + np.concatenate(
        [np.arange(pairs), rng.choice(pairs, total - pairs, replace=total - pairs > pairs)]
    )
    item[is_gold] = rng.integers(0, GOLD_ITEMS, int(is_gold.sum()))
    margin = rng.normal(0, 1.6, GOLD_ITEMS + pairs)
    margin[:GOLD_ITEMS] = np.where(rng.random(GOLD_ITEMS) < 0.5, 1, -1) * 2.5
    flip = rng.random(total) < 0.5
    shown = np.where(flip, -margin[item], margin[item])
    p_left = 1 / (1 + np.exp(-(ability[questions] * shown + bias[questions])))
    left = rng.random(total) < p_left
    coin = rng.random(total) < 0.5
    words = rng.lognormal(4, 0.5, total)
    seconds = 0.3 * words * pace[questions] * rng.lognormal(0, 0.5, total)
    place = np.argsort(np.argsort(np.arange(total)))
    own = bad[questions]
    if guilty in ("coin", "fast"):
        left = np.where(own, coin, left)
    if guilty == "one side":
        left = np.where(own, rng.random(total) < 0.95, left)
    if guilty == "fast":
        seconds = np.where(own, rng.lognormal(0.7, 0.3, total), seconds)
    if guilty == "tires":  # coin in the second half
        left = np.where(own & (place > total / 2), coin, left)
    preferred = np.where(left != flip, 0, 1)
    preferred = np.where((rng.random(total) < 0.05) & ~own, TIE, preferred)
    if guilty == "copies":
        preferred, left = copied(preferred, left, flip, item, questions, bad)
    noisy = shown + rng.normal(0, 1.8, total)
    model = 1 / (1 + np.exp(-noisy))
    p_chosen = np.where(preferred < TIE, np.where(left, model, 1 - model), np.nan)
    first = np.unique(questions * 10**7 + item, return_index=True)[1]
    rows = np.sort(first)
    answer = np.where(item < GOLD_ITEMS, np.where(margin[item] > 0, 0, 1), NOT_GOLD)
    nobody = np.zeros(people, dtype=bool)
    votes = Judged(
        tuple(f"a{i}" for i in range(people)), nobody, nobody, questions[rows], item[rows],
        place[rows] * ROUNDS // total, preferred[rows], left[rows], answer[rows], seconds[rows], words[rows],
        p_chosen[rows],
    )  # fmt: skip
    return votes, bad


def copied(preferred, left, flip, item, questions, bad) -> tuple:
    """Each guilty one hands in what their neighbour (also guilty) said about the pair, where both were asked."""
    preferred, left = preferred.copy(), left.copy()
    said: dict[tuple[int, int], int] = {}
    for row in range(len(item)):
        who = int(questions[row])
        if bad[who]:
            team = who // 2
            if (team, int(item[row])) in said:
                preferred[row] = said[team, int(item[row])]
                left[row] = (preferred[row] == 0) != flip[row]
            said[team, int(item[row])] = int(preferred[row])
    return preferred, left


def rate(k: int, n: int) -> str:
    found = binomtest(k, n).proportion_ci(0.95, "wilson")
    return f"{100 * k / n:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def show(
    people: int, each: int, guilty: str, share: float, seeds: range, overlap: float = OVERLAP, gold: float = GOLD
) -> None:
    false = caught = of = 0
    part: list[float] = []
    by_test: dict[str, int] = {}
    innocent: dict[str, int] = {}
    for seed in seeds:
        votes, bad = crowd(np.random.default_rng([seed, people, each]), people, each, guilty, share, overlap, gold)
        found, _ = flags(votes)
        wrong = [flag for flag in found if not bad[flag.annotator]]
        false += bool(wrong)
        part.append(len(wrong) / max(len(found), 1))
        caught += len({flag.annotator for flag in found if bad[flag.annotator]})
        of += int(bad.sum())
        for flag in found:
            count = by_test if bad[flag.annotator] else innocent
            count[flag.test] = count.get(flag.test, 0) + 1
    extra = "" if (overlap, gold) == (OVERLAP, GOLD) else f", {100 * gold:.0f} % gold, {overlap + 1:.1f} votes a pair"
    cells = [
        f"{people} people × {each} votes{extra}",
        f"{100 * share:.0f} % {guilty}" if share else "honest",
        f"any false {rate(false, len(seeds))}",
        f"false share of flags {100 * np.mean(part):.1f} ± {196 * np.std(part) / len(part) ** 0.5:.1f} %",
        f"found {rate(caught, of)}" if of else "found –",
    ]
    tests = ", ".join(f"{name} {100 * n / of:.0f} %" for name, n in sorted(by_test.items())) if of else ""
    print(" | ".join(cells), "|", tests, "| false:", innocent or "none", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first seed")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    few = seeds[: arguments.seeds // 4]
    for people, each in ((5, 100), (20, 50), (20, 200), (100, 50)):
        show(people, each, "", 0.0, seeds)
    for guilty in ("coin", "one side", "fast", "tires"):
        for share in (0.2, 0.4):
            for people, each in ((20, 50), (20, 200), (100, 50)):
                show(people, each, guilty, share, few)
    for guilty in ("coin", "tires"):
        show(20, 400, guilty, 0.2, few, gold=0.2)
    show(20, 400, "", 0.0, few, gold=0.2)
    for people, each in ((10, 200), (20, 400)):
        show(people, each, "copies", 0.2, few, overlap=4.0)
        show(people, each, "", 0.0, few, overlap=4.0)


if __name__ == "__main__":
    main()
