"""Fine-tuned reward models on recorded votes: beside TRL's RewardTrainer, and beside the frozen features.

    python benchmarks/finetuning.py trl ukpconvarg1_dev.jsonl.gz --model FOLDER --trl PYTHON [--votes 600] [--seeds 5]
    python benchmarks/finetuning.py models ukpconvarg1_dev.jsonl.gz --model FOLDER --votes 150 600 [--seeds 5]
    python benchmarks/finetuning.py processes ukpconvarg1_dev.jsonl.gz --model FOLDER [--votes 150]

Single recorded votes, at random, on pairs of all debates but three; accuracy on the clean labels of at most 600 pairs
of those three, log-loss on their single votes. Every fit is a process of its own: its processor seconds, from reading
the model to the end of training, and its peak memory. ``trl`` gives RewardTrainer (of the Python named) and pairloop
the same model, pairs, token ids, epochs, batch, learning rate and schedule, in float32 and without dropout; ties, which
RewardTrainer cannot learn from, are left out for both. Intervals are 95 % t-intervals over paired seeds.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CODES = {"a": 0, "b": 1, "tie": 2}
HELD_GROUPS, TESTED = 3, 600
EPOCHS, BATCH, WARMUP = 3, 16, 0.1
Task = dict
Row = dict


def read(path: Path) -> list[Task]:
    """The pairs of the file with their human votes."""
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def task(pairs: list[Task], n: int, seed: int, *, ties: bool) -> Task:
    """Votes to train on and pairs to test on, as texts."""
    rng = np.random.default_rng(seed)
    debates = sorted({pair["prompt"].split("\n")[0] for pair in pairs})
    held = {debates[i] for i in rng.permutation(len(debates))[:HELD_GROUPS]}
    votes, clean, single = [], [], []
    for pair in pairs:
        debate = pair["prompt"].split("\n")[0]
        texts = (pair["prompt"], pair["response_a"], pair["response_b"])
        if texts[1] == texts[2]:
            continue
        own = [(CODES[v["preference"]], v["annotator"]) for v in pair["annotations"] if v["type"] == "human"]
        if debate not in held:
            votes += [(*texts, debate, outcome, who) for outcome, who in own if ties or outcome < 2]
        elif pair.get("in_strict") and CODES[pair["gold"]] < 2:
            clean.append((*texts, CODES[pair["gold"]]))
            single.append([outcome for outcome, _ in own if outcome < 2])
    chosen = [votes[i] for i in rng.permutation(len(votes))[:n]]
    swap = rng.random(len(chosen)) < 0.5
    mirrored = (1, 0, 2)
    votes = [
        (p, b, a, d, mirrored[o], w) if s else (p, a, b, d, o, w)
        for (p, a, b, d, o, w), s in zip(chosen, swap, strict=True)
    ]
    rows = rng.permutation(len(clean))[:TESTED].tolist()
    return {"votes": votes, "clean": [clean[i] for i in rows], "single": [single[i] for i in rows], "seed": seed}


# ---------------------------------------------------------------------------------------------- one fit, in a process


def run_one(work: Task) -> Row:
    """Fit one system on one task and measure it."""
    begun = _cpu()
    system = work["system"]
    margin, p = _trl(work) if system == "trl" else _pairloop(work)
    used = work.pop("used", None) or _cpu() - begun
    label = np.array([row[3] for row in work["clean"]])
    hit = np.where(margin == 0, 0.5, (margin > 0) == (label == 0))
    out = {"accuracy": float(hit.mean()), "seconds": used, "memory": _peak()}
    if p is not None:
        losses = [-np.log(q if o == 0 else 1 - q) for q, own in zip(p, work["single"], strict=True) for o in own]
        out["log_loss"] = float(np.mean(losses))
    return out


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _peak() -> float:
    """Megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _trl(work: Task) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    from pairloop.kit.tokens import encode

    torch.set_num_threads(1)
    torch.manual_seed(work["seed"])
    tokenizer = AutoTokenizer.from_pretrained(work["model"])
    model = AutoModelForSequenceClassification.from_pretrained(work["model"], num_labels=1, dtype=torch.float32)
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        tokenizer.pad_token = tokenizer.unk_token  # its last token would be taken for padding otherwise

    def ids(prompt: str, text: str) -> list[int]:
        found = encode(tokenizer, prompt, text, work["max_length"])
        return [*found.prompt, *found.response]

    pairs = [(ids(p, a), ids(p, b)) if o == 0 else (ids(p, b), ids(p, a)) for p, a, b, _, o, _ in work["votes"]]
    with tempfile.TemporaryDirectory() as place:
        settings = RewardConfig(
            output_dir=place, num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, save_strategy="no",
            learning_rate=work["rate"], lr_scheduler_type="linear", warmup_steps=WARMUP, weight_decay=0.01,
            max_length=work["max_length"], disable_dropout=True, report_to="none", seed=work["seed"], use_cpu=True,
            bf16=False, gradient_checkpointing=False, logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        data = Dataset.from_dict({"chosen_ids": [c for c, _ in pairs], "rejected_ids": [r for _, r in pairs]})
        begun = _cpu()
        RewardTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer).train()
        work["used"] = _cpu() - begun
    model.eval()
    with torch.inference_mode():
        score = {}
        for p, a, b, _ in work["clean"]:
            for text in (a, b):
                if (p, text) not in score:
                    score[p, text] = float(model(input_ids=torch.tensor([ids(p, text)])).logits[0, 0])
    margin = np.array([score[p, a] - score[p, b] for p, a, b, _ in work["clean"]])
    return margin, 1.0 / (1.0 + np.exp(-margin))


def _pairloop(work: Task) -> tuple[np.ndarray, np.ndarray]:
    from pairloop.kit.ids import prompt_id, response_id
    from pairloop.protocols import ModelContext, TrainingData
    from pairloop.records import ResponseView
    from pairloop.registry import Registry

    def view(prompt: str, text: str) -> ResponseView:
        key = prompt_id(prompt)
        return ResponseView(response_id(key, text), key, prompt, text, prompt.partition("\n")[0])

    votes = work["votes"]
    table = {}
    for prompt, a, b, *_ in votes:
        for text in (a, b):
            each = view(prompt, text)
            table.setdefault(each.id, each)
    number = {key: i for i, key in enumerate(table)}
    left, right = (np.array([number[view(v[0], v[i]).id] for v in votes]) for i in (1, 2))
    _, group = np.unique([v[3] for v in votes], return_inverse=True)
    names, owner = np.unique([v[5] for v in votes], return_inverse=True)
    n = len(votes)
    data = TrainingData(
        list(table.values()), np.ones(len(table), dtype=bool), left, right, np.array([v[4] for v in votes]), owner,
        tuple(names.tolist()), np.ones(n), group, np.ones(n, dtype=bool), np.zeros(n, dtype=bool),
        np.zeros(n, dtype=int),
    )  # fmt: skip
    spec = Registry().spec("reward", work["kind"], "model")
    with tempfile.TemporaryDirectory() as cache:
        model = spec.factory(spec.options(**work["options"]), ModelContext(Path(cache)))
        begun = _cpu()
        report = model.fit(data, seed=work["seed"])
        work["used"] = _cpu() - begun
        asked = {each.id: each for p, a, b, _ in work["clean"] for each in (view(p, a), view(p, b))}
        place = {key: i for i, key in enumerate(asked)}
        posterior = model.posterior(list(asked.values()))
    pairs = np.array([[place[view(p, a).id], place[view(p, b).id]] for p, a, b, _ in work["clean"]])
    if os.environ.get("SHOW"):
        print(report.numbers, report.notes, file=sys.stderr)
    return posterior.margin(pairs), posterior.probability(pairs)


# ---------------------------------------------------------------------------------------------- many of them


def measured(work: Task, python: str = sys.executable) -> Row:
    """`run_one` in a process of its own."""
    place = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [python, __file__, "one"], input=json.dumps(work), capture_output=True, text=True, env=place, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def interval(values: np.ndarray) -> str:
    from scipy import stats

    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.4f} ± {half:.4f}"


def compare(name: str, systems: dict[str, Task], pairs: list[Task], n: int, seeds: int, *, ties: bool) -> None:
    rows: dict[str, list[Row]] = {system: [] for system in systems}
    for seed in range(seeds):
        work = task(pairs, n, seed, ties=ties)
        for system, extra in systems.items():
            rows[system].append(measured({**work, **extra}, extra.get("python", sys.executable)))
            print(f"# {system} {n} votes, seed {seed}: {json.dumps(rows[system][-1])}", file=sys.stderr, flush=True)
    first = np.array([row["accuracy"] for row in rows[next(iter(rows))]])
    print(f"\n{name}, {n} votes, {seeds} seeds\n| system | accuracy | gained on the first | log-loss | CPU s | MB |")
    print("|---|---|---|---|---|---|")
    for system, found in rows.items():
        column = {key: np.array([row[key] for row in found]) for key in found[0]}
        gained = "" if system == next(iter(rows)) else interval(column["accuracy"] - first)
        print(
            f"| {system} | {interval(column['accuracy'])} | {gained} | {interval(column['log_loss'])} | "
            f"{column['seconds'].mean():.0f} | {column['memory'].mean():.0f} |", flush=True,
        )  # fmt: skip


def finetuned(model: str, rate: float, length: int, **options: object) -> Task:
    settings = {
        "model": model,
        "max_length": length,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "learning_rate": rate,
        **options,
    }
    return {"system": "pairloop", "kind": "finetuned", "options": settings}


def processes(pairs: list[Task], model: str, rate: float, length: int, n: int) -> None:
    """One process against two: the same votes, the same batches, sums in another order."""
    for seed in range(3):
        work = task(pairs, n, seed, ties=True)
        margins = []
        for count in (1, 2):
            begun = time.monotonic()
            extra = finetuned(model, rate, length, processes=count)
            row = measured({**work, **extra, "margins": True})
            margins.append(np.array(row["margins"]))
            print(f"{count} processes: accuracy {row['accuracy']:.4f}, {time.monotonic() - begun:.0f} s of wall time")
        apart = np.abs(margins[0] - margins[1]).max()
        print(f"seed {seed}: largest difference of a margin {apart:.2e}, of {np.abs(margins[0]).max():.2f}")


def main() -> None:
    if sys.argv[1:] == ["one"]:
        work = json.loads(sys.stdin.read())
        if work.get("margins"):
            margin, _ = _pairloop(work)
            label = np.array([row[3] for row in work["clean"]])
            print(json.dumps({"margins": margin.tolist(), "accuracy": float(((margin > 0) == (label == 0)).mean())}))
        else:
            print(json.dumps(run_one(work)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["trl", "models", "processes"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--trl", help="a Python with trl and datasets")
    parser.add_argument("--votes", type=int, nargs="+", default=[600])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=512, help="in tokens, of the fine-tuned models")
    given = parser.parse_args()
    pairs = read(given.file)
    for n in given.votes:
        tuned = finetuned(given.model, given.rate, given.max_length)
        linear = {
            "pairloop encoder": {"system": "pairloop", "kind": "encoder", "options": {"model": given.model}},
            "pairloop tfidf": {"system": "pairloop", "kind": "tfidf", "options": {}},
        }
        if given.what == "processes":
            processes(pairs, given.model, given.rate, given.max_length, n)
        elif given.what == "trl":
            trl = {"system": "trl", "model": given.model, "rate": given.rate, "max_length": given.max_length}
            systems = {"TRL RewardTrainer": {**trl, "python": given.trl or sys.executable}, "pairloop finetuned": tuned}
            compare(f"{Path(given.model).name}, no ties", systems | linear, pairs, n, given.seeds, ties=False)
        else:
            systems = {"pairloop finetuned": tuned, **linear}
            compare(f"models on {Path(given.model).name}", systems, pairs, n, given.seeds, ties=True)


if __name__ == "__main__":
    main()
