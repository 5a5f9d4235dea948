"""The model card: what a model is, what it saw, how sure one may be of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pairloop import __version__
from pairloop.exports.card import table
from pairloop.exports.models import Manifest
from pairloop.exports.yaml_head import header
from pairloop.metrics import Estimate
from pairloop.report.estimates import from_json
from pairloop.report.numbers import count, interval, plural, short

_MEASURES = (
    ("accuracy", "Accuracy on single decisive votes"), ("log_loss", "Log-loss (nats)"),
    ("log_loss_raw", "Log-loss before calibration"), ("brier", "Brier score"), ("ece", "Calibration error (ECE)"),
)  # fmt: skip

_SAME_SCORES = (
    "Its one logit is the reward, on the token ids of `pairloop.kit.tokens.encode(tokenizer, prompt, response, "
    "max_length)`: prompt, a newline (or the chat template), the response and, where the tokenizer has one, the end of "
    "sequence. The probability that the left response is preferred is about σ((r_left − r_right) / T) with the "
    "temperature T above; flips and the uncertainty of the rewards are in the pairloop model only:",
)


def model_card(name: str, manifest: Manifest, report: Mapping[str, Any], license_name: str, *, library: str) -> str:
    """Markdown with the hub's YAML header.

    Args:
        name: the campaign's. report: of the stored model. library: what loads it, "pairloop" or "transformers".
    """
    kind = {"reward": "Reward model", "policy": "Policy", "reference": "Initial policy"}[manifest.role]
    head = header({
        "license": license_name,
        "library_name": library,
        "tags": ["rlhf", "reward-model" if manifest.role == "reward" else "policy", "pairloop"],
    })  # fmt: skip
    sections = {"What it saw": _saw(manifest, report)}
    if manifest.role == "reward":
        sections |= {"How good it is": _quality(report), "What to know": _caveats(report)}
    sections |= {"Loading": _loading(manifest, library), "Versions": _versions(manifest)}
    parts = [f"\n## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections.items()]
    return head + f"\n# {kind} of {name}\n\nMade by pairloop's `{manifest.name}`.\n" + "".join(parts)


def _saw(manifest: Manifest, report: Mapping[str, Any]) -> Iterator[str]:
    if manifest.log is None:
        yield "- No votes."
        return
    yield f"- {plural(manifest.votes, 'vote')}, given until round {manifest.round}"
    yield f"- Rows 1 to {manifest.last_row} of the campaign's log, whose last row has the hash `{manifest.log}`"
    if "train_votes" in report:
        held = plural(report["holdout_votes"], "vote")
        yield f"- Trained on {plural(report['train_votes'], 'vote')}; measured on {held}"


def _quality(report: Mapping[str, Any]) -> Iterator[str]:
    found = {name: from_json(report.get("holdout", {}).get(name)) for name, _ in _MEASURES}
    if found["accuracy"] is None:
        yield "Not measured: there were no decisive votes on held-out prompts when it was trained."
        return
    yield (
        "On the decisive holdout votes that there were when it was trained, from groups that it never trained on; 95 % "
        "intervals over groups:"
    )
    yield ""
    yield from table(("measure", "value"), ((text, _said(found[name])) for name, text in _MEASURES))


def _said(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f"{short(estimate.value)} {interval(estimate, percent=False)}, {count(estimate)}"


def _caveats(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"- Temperature of its probabilities: {short(report.get('temperature'))} (1: as fitted)."
    yield f"- Chance that a decisive vote says the opposite (flip rate): {short(report.get('flip_rate'))}."
    yield "- Rewards have no zero: only differences between responses to the same prompt mean something."
    for note in report.get("notes") or ():
        yield f"- {' '.join(str(note).split())}"
    if report.get("annotators"):
        people = plural(len(report["annotators"]), "annotator")
        yield f"- The folder has the names of {people} and what was found out about them."


def _loading(manifest: Manifest, library: str) -> Iterator[str]:
    if library == "transformers":
        kind = "SequenceClassification" if manifest.role == "reward" else "CausalLM"
        yield from _code(f"from transformers import AutoModelFor{kind}", "",
                         f'model = AutoModelFor{kind}.from_pretrained("this-folder")')  # fmt: skip
        if manifest.role == "reward":
            yield from ("", *_SAME_SCORES, "")
    if manifest.role == "reward":
        yield from _code("from pathlib import Path", "from pairloop.exports.models import load_reward_model", "",
                         'model = load_reward_model(Path("this-folder"))')  # fmt: skip
    elif library != "transformers":
        yield f"By the tuner `{manifest.name}` of a campaign."


def _code(*lines: str) -> Iterator[str]:
    yield from ("```python", *lines, "```")


def _versions(manifest: Manifest) -> Iterator[str]:
    yield f"- pairloop {__version__}; campaign `{manifest.campaign}`"
    yield f"- sha256 of the model's list of files: `{manifest.artifact}`"


def library_of(folder: Path) -> str:
    """What loads a model folder: "transformers" where it has a configuration of its own."""
    return "transformers" if (folder / "config.json").is_file() else "pairloop"
