"""Transformers models as reward backbones: accuracy beside ``tfidf``, speed beside sentence-transformers.

    python benchmarks/encoders.py accuracy ukpconvarg1_dev.jsonl.gz --models minilm tiny-lm --seeds 8 --votes 150 600
    python benchmarks/encoders.py speed ukpconvarg1_dev.jsonl.gz --rounds 5

``accuracy``: random single votes of nine debates, measured on the clean labels of the three others; differences to
``tfidf`` are paired by seed. ``speed``: CPU seconds on one thread, the ways interleaved; the rate of matrix products
is measured in the same run.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairloop.kit.ids import prompt_id, response_id
from pairloop.protocols import ModelContext, TrainingData
from pairloop.records import ResponseView
from pairloop_reward.encoder_model import EncoderRewardModel
from pairloop_reward.encoder_options import EncoderOptions
from pairloop_reward.model import TfidfRewardModel
from pairloop_reward.options import TfidfOptions

CODES = {"a": 0, "b": 1, "tie": 2}


@dataclass(frozen=True)
class Arguments:
    """Responses; (P, 3) rows and clean label (−1: none) of each pair; the votes on it; debate of each response."""

    responses: list[ResponseView]
    pairs: np.ndarray
    votes: list[list[int]]
    debate: np.ndarray


def read_arguments(path: Path) -> Arguments:
    responses: list[ResponseView] = []
    number: dict[str, int] = {}
    pairs, votes = [], []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            prompt, ends = prompt_id(row["prompt"]), []
            for text in (row["response_a"], row["response_b"]):
                key = response_id(prompt, text)
                if key not in number:
                    number[key] = len(responses)
                    group = row["prompt"].split("\n")[0]
                    responses.append(ResponseView(key, prompt, row["prompt"], text, group))
                ends.append(number[key])
            pairs.append([*ends, CODES[row["gold"]] if row["in_strict"] else -1])
            votes.append([CODES[vote["preference"]] for vote in row["annotations"]])
    debates = sorted({response.group for response in responses})
    return Arguments(responses, np.array(pairs), votes, np.array([debates.index(r.group) for r in responses]))


def drawn(data: Arguments, n: int, seed: int) -> tuple[TrainingData, np.ndarray]:
    """``n`` random single votes of nine debates, and the clean pairs of the other three."""
    random = np.random.default_rng(seed)
    trainable = ~np.isin(data.debate, random.permutation(data.debate.max() + 1)[:3])
    single = [
        (i, j, vote)
        for (i, j, _), own in zip(data.pairs.tolist(), data.votes, strict=True)
        if trainable[i]
        for vote in own
    ]
    left, right, outcome = random.permutation(np.array(single))[:n].T
    swap = random.random(n) < 0.5
    training = TrainingData(
        data.responses, trainable, np.where(swap, right, left), np.where(swap, left, right),
        np.where(swap, np.array([1, 0, 2])[outcome], outcome), np.zeros(n, dtype=int), ("crowd",), np.ones(n),
        data.debate[left], np.ones(n, dtype=bool), np.zeros(n, dtype=bool), np.zeros(n, dtype=int),
    )  # fmt: skip
    clean = data.pairs[~trainable[data.pairs[:, 0]] & np.isin(data.pairs[:, 2], (0, 1))]
    return training, clean


def accuracy(args: argparse.Namespace) -> None:
    data = read_arguments(args.data)
    with tempfile.TemporaryDirectory() as cache:
        context = ModelContext(Path(cache))
        arms: dict[str, Callable[[], Any]] = {"tfidf": lambda: TfidfRewardModel(TfidfOptions(), context)}
        for model in args.models:
            for way in args.inputs:
                for surface in (True, False):
                    name = f"{Path(model).name} {way}{'' if surface else ', no surface'}"
                    options = EncoderOptions(model=model, input=way, surface=surface)
                    arms[name] = lambda options=options: EncoderRewardModel(options, context)
        arms["tfidf, no surface"] = lambda: TfidfRewardModel(TfidfOptions(surface=False), context)
        for n in args.votes:
            found: dict[str, list[float]] = {name: [] for name in arms}
            for seed in range(args.seeds):
                training, clean = drawn(data, n, seed)
                for name, make in arms.items():
                    model = make()
                    model.fit(training, seed=seed)
                    margin = model.posterior(data.responses).margin(clean[:, :2])
                    found[name].append(float(np.mean((margin > 0) == (clean[:, 2] == 0))))
            for name, values in found.items():
                difference = np.array(values) - np.array(found["tfidf"])
                half = 1.96 * difference.std(ddof=1) / np.sqrt(args.seeds)
                print(f"{n:6d} {name:32s} {np.mean(values):.3f}  {difference.mean():+.3f} ± {half:.3f}", flush=True)


def products_rate(rows: int = 2048, width: int = 384, inner: int = 1536, dtype: str = "float32") -> float:
    """GFLOP a CPU second of the product that a MiniLM spends most of its time in."""
    import torch

    a = torch.randn(rows, width).to(getattr(torch, dtype))
    b = torch.randn(inner, width).to(getattr(torch, dtype))
    torch.nn.functional.linear(a, b)
    began = time.process_time()
    for _ in range(30):
        torch.nn.functional.linear(a, b)
    return 30 * 2 * rows * width * inner / (time.process_time() - began) / 1e9


def work(lengths: Sequence[int], layers: int, width: int, inner: int) -> float:
    """GFLOP of the products and of attention for texts of these lengths."""
    tokens, squares = float(np.sum(lengths)), float(np.sum(np.square(lengths)))
    return layers * (tokens * 2 * (4 * width**2 + 2 * width * inner) + 4 * squares * width) / 1e9


def speed(args: argparse.Namespace) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    from pairloop_reward.backbone.backbone import Settings, open_backbone
    from pairloop_reward.backbone.embeddings import Unit, tokenised
    from pairloop_reward.backbone.location import locate
    from pairloop_reward.backbone.precision import native_bfloat16

    torch.set_num_threads(1)
    texts = [response.text for response in read_arguments(args.data).responses][: args.texts]
    location = locate(args.model, where="--model")
    peer = SentenceTransformer(str(location.folder), device="cpu")
    ways: dict[str, Callable[[], np.ndarray]] = {
        "sentence-transformers float32, batches of 32": lambda: peer.encode(texts, batch_size=32),
    }
    dtypes = ["float32", "bfloat16"] if native_bfloat16() or args.emulated else ["float32"]
    for dtype in dtypes:
        for budget in args.budgets:
            settings = Settings(location, dtype=dtype, budget=budget, max_length=args.max_length)
            ways[f"pairloop {dtype}, packs of {budget}"] = lambda settings=settings: encoded(settings, texts)
    settings = Settings(location, padded=True, max_length=args.max_length)
    ways["pairloop float32, padded batches"] = lambda: encoded(settings, texts)

    def encoded(settings: Settings, texts: Sequence[str]) -> np.ndarray:
        model = opened[settings]
        tokens = tokenised(model, [Unit(text) for text in texts])
        out = np.empty((len(texts), model.dimensions), dtype=np.float32)
        for batch in model.batches([len(own.ids) for own in tokens]):
            out[batch] = model.embed([tokens[i] for i in batch])
        return out

    every = [Settings(location, dtype=d, budget=b, max_length=args.max_length) for d in dtypes for b in args.budgets]
    opened = {each: open_backbone.__wrapped__(each) for each in [*every, settings]}
    lengths = [len(own.ids) for own in tokenised(opened[every[0]], [Unit(text) for text in texts])]
    first = opened[every[0]]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, np.ndarray] = {}
    rates: list[float] = []
    for way in ways.values():
        way()
    for _ in range(args.rounds):
        rates.append(products_rate())
        for name, way in ways.items():
            began = time.process_time()
            results[name] = way()
            seconds[name].append(time.process_time() - began)
    reference = next(iter(results))
    flops = work(lengths, 6, 384, 1536)
    print(f"{len(texts)} texts, {sum(lengths)} tokens, longest {max(lengths)}, {first.architecture} {first.way}")
    print(f"products: {np.median(rates):.0f} GFLOP a CPU second ({min(rates):.0f} to {max(rates):.0f})")
    for name, own in seconds.items():
        ratio = np.array(seconds[reference]) / np.array(own)
        rate, middle = flops / np.median(own), np.median(own)
        a, b = results[reference], results[name]
        cosine = float(np.min((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))
        print(
            f"{name:46s} {middle:6.2f} s {sum(lengths) / middle:7.0f} tokens/s  x{np.median(ratio):.2f} "
            f"({ratio.min():.2f}-{ratio.max():.2f})  {rate / np.median(rates):.2f} of products  cosine {cosine:.6f}"
        )


def main() -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("accuracy")
    one.add_argument("data", type=Path)
    one.add_argument("--models", nargs="+", default=["minilm"])
    one.add_argument("--inputs", nargs="+", default=["joined"])
    one.add_argument("--votes", nargs="+", type=int, default=[150, 600, 1500])
    one.add_argument("--seeds", type=int, default=8)
    one.set_defaults(run=accuracy)
    two = parts.add_parser("speed")
    two.add_argument("data", type=Path)
    two.add_argument("--model", default="minilm")
    two.add_argument("--texts", type=int, default=256)
    two.add_argument("--rounds", type=int, default=5)
    two.add_argument("--budgets", nargs="+", type=int, default=[2048])
    two.add_argument("--max-length", type=int, default=None)
    two.add_argument("--emulated", action="store_true", help="bfloat16 too where the processor has none")
    two.set_defaults(run=speed)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
