"""Campaigns that the crash and determinism tests run."""

from pathlib import Path

from pairloop.registry import Registry
from pairloop.testing.campaigns import toy_config, toy_registry
from support import filing, studied

CHUNK = 4
"""Tasks a push in these tests, so that a round has several."""

SCENARIOS: dict[str, str] = {
    # Three rounds that also tune and sample; every answer arrives.
    "plain": toy_config(),
    # The same over a remote that loses answers, refuses calls and repeats a page.
    "faulty": toy_config(
        backend={
            "options": {
                "faults": [
                    "publish:1:refused",
                    "publish:4:lost",
                    "publish:6:lost",
                    "lookup:3:refused",
                    "poll:2:repeat",
                    "poll:5:refused",
                ]
            }
        }
    ),
    # As people do it: skips, tasks that nobody answers, rounds that close early and withdraw the rest, two votes a
    # pair, prompts rated bad, prelabels on screen, money that runs out.
    "people": toy_config(
        backend={
            "prelabels": "shown",
            "options": {"skip": 0.15, "no_answer": 0.15, "bad_prompts": 0.15, "faults": ["cancel:1:lost"]},
        },
        round={"size": 12, "close_share": 0.5, "on_close": "withdraw", "replicas": 2, "max_rounds": 4},
        budget={"cost": 8.2, "cost_per_vote": 0.25},
    ),
    # A judge beside people, who is paid for every question and whose money runs out.
    "judged": toy_config(
        policy={"tuner": None},
        judge={"kind": "toy", "extra": 3, "budget": 0.63, "options": {"asked": "asked.txt"}},
    ),
    # A judge and nobody else; some questions get no answer.
    "alone": toy_config(
        backend={"kind": "judge", "options": {}},
        policy={"tuner": None},
        judge={"kind": "toy", "options": {"asked": "asked.txt"}},
    ),
    # Gold items mixed in, and second opinions.
    "checked": toy_config(
        policy={"tuner": None},
        quality={"overlap_share": 0.2, "gold_path": str(Path(__file__).parent / "gold.jsonl"), "gold_share": 0.2},
    ),
    # The parts that are shipped: simulated annotators, TF-IDF reward model, log-det selection.
    "real": toy_config(
        backend={
            "kind": "simulated",
            "gold": "toy",
            "options": {"teacher": "noisy", "pool": [{"name": "a", "count": 3, "latency": 0.5, "skip": 0.1}]},
        },
        reward={"model": "tfidf"},
    ),
    # Questions that go out as files and come back from a spreadsheet, two people a pair.
    "files": toy_config(
        backend={"kind": "filed", "options": {"annotators": ["ann", "bob", "cy"]}},
        round={"size": 10, "replicas": 2, "max_rounds": 2},
        policy={"tuner": None},
    ),
}


def registry() -> Registry:
    """Where the scenarios' parts come from."""
    return toy_registry(backend__filed=filing, backend__studied=studied)
