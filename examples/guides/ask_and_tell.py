"""Your own annotation page: ask for questions, tell the answers, and use what was learned.

    python examples/guides/ask_and_tell.py [FOLDER]

Here a function answers in place of a page: it likes answers that say what to do. Everything else is as it would be.
"""

import sys
import tempfile
from pathlib import Path

from pairloop import Annotation, Choice, create_campaign, preferences, score, votes_of, write_report

QUESTIONS = [
    "How do I renew my card?",
    "Where is the reading room?",
    "Can I keep this book longer?",
    "Who fixes printers?",
]
ANSWERS = [
    "Go to the desk, show your card, and ask for {n} more weeks.",
    "No idea.",
    "That depends on many things, and people differ about them; there are about {n} opinions.",
    "Look at the plan beside door {n}, then follow the green line.",
]


def data(path: Path) -> None:
    """Twenty prompts with four responses each."""
    import json

    with path.open("w", encoding="utf-8") as file:
        for n in range(20):
            prompt = f"{QUESTIONS[n % 4]} (I am at branch {n}.)"
            file.write(json.dumps({"prompt": prompt, "responses": [text.format(n=n + 2) for text in ANSWERS]}) + "\n")


def judge(left: str, right: str) -> Choice:
    """What your page would ask a person."""
    useful = [sum(word in text for word in ("Go", "Look", "ask", "follow")) for text in (left, right)]
    return Choice.TIE if useful[0] == useful[1] else Choice.LEFT if useful[0] > useful[1] else Choice.RIGHT


def main(folder: Path) -> None:
    """The whole campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    data(folder / "prompts.jsonl")
    tables = {
        "data": {"path": "../prompts.jsonl"},
        "backend": {"kind": "manual"},
        "round": {"size": 12, "max_rounds": 3},
    }
    with create_campaign(folder / "campaign", tables) as campaign:
        for _ in range(3):
            batch = campaign.ask()
            for task in batch.tasks:
                # "page" and the two ids after the key tell this answer from every other: telling it twice is harmless
                answer = Annotation(task.key, "page", f"answer-{task.key}", "1", "ann", judge(task.left, task.right))
                campaign.tell([answer])
            campaign.run()
            print(f"round {batch.round}: {len(batch.tasks)} answers, {len(votes_of(campaign))} votes in all")
        mean, spread = score(campaign, "How do I renew my card?", ["Go to the desk and ask.", "No idea."])
        print(f"a useful answer is worth {mean[0] - mean[1]:+.2f} more (± {spread.max():.2f})")
        print(f"{len(preferences(campaign))} preferences; report: {write_report(campaign, folder / 'report.html')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
