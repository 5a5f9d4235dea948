"""Torch or nothing: the whole folder is skipped without it, but for the tests of the light plugin module."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # makes ``policy_toys`` importable


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Threads that wait for each other on a busy machine make small models a hundred times slower."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def initial(tmp_path_factory):
    """π0: a very small Llama trained on the toy corpus. Never written to."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from policy_toys import SMALL, toy_corpus

    from pairloop.kit.progress import Silent
    from pairloop_policy.prepare import prepare

    folder = tmp_path_factory.mktemp("pi0")
    prepare("scratch", toy_corpus(), folder, SMALL, seed=1, progress=Silent())
    return folder


@pytest.fixture
def policy(initial):
    """π0 loaded."""
    import torch

    from pairloop_policy import models

    return models.load(initial, torch.device("cpu"))


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory, initial):
    """An untrained GPT-2 (absolute positions, dropout 0.5) with π0's tokenizer."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(str(initial))
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2, resid_pdrop=0.5, embd_pdrop=0.5,
        attn_pdrop=0.5, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("gpt2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
