"""A benchmark as a test: `pytest examples/benchmark`. It fails when the reward model got worse, and not on bad luck.

Finished runs are kept in pytest's cache; what a change does not touch is not run again.
"""

PLAN = {
    "bench": {"name": "smoke", "seeds": 3, "votes": 100, "batch": 50, "baseline": "random"},
    "data": [{"name": "demo", "source": "demo", "truth": "gold"}],
    "annotators": [{"name": "crowd", "gold": "demo", "options": {"teacher": "crowd"}}],
    "strategies": [{"name": "random", "strategy": "random", "random_share": 1.0}, {"name": "default"}],
}


def test_a_hundred_votes_teach_something(pairloop_bench) -> None:
    """More than a coin knows, beyond the interval."""
    result = pairloop_bench(PLAN)
    accuracy = result.arm("default").end("accuracy")
    assert accuracy.low > 0.5, f"no better than a coin: {accuracy}"


def test_the_default_is_not_proven_worse_than_random(pairloop_bench) -> None:
    """Active selection may not pay on so few votes, but it must not do harm."""
    difference = pairloop_bench(PLAN).arm("default").against("accuracy")
    assert difference.high >= 0.0, f"worse than random choice, beyond its interval: {difference}"
