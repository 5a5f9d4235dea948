"""π0 from a folder, from the hub and from nothing; and what is refused."""

import json
import os
import resource
import shutil
from pathlib import Path

import pytest
from policy_toys import SMALL, toy_corpus

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

from pairloop.errors import ConfigError, CorruptionDetected, ModelError, NoSignal, StorageFull  # noqa: E402
from pairloop.kit.progress import Silent  # noqa: E402
from pairloop.kit.tokens import encode  # noqa: E402
from pairloop.protocols import PolicyPrompt  # noqa: E402
from pairloop.records import Message  # noqa: E402
from pairloop_policy import models  # noqa: E402
from pairloop_policy.checkpoints import hash_folder  # noqa: E402
from pairloop_policy.options import ScratchOptions  # noqa: E402
from pairloop_policy.prepare import prepare  # noqa: E402
from pairloop_policy.runtime import device  # noqa: E402
from pairloop_policy.sampling import Sampling, sample  # noqa: E402

CPU = torch.device("cpu")


def prepared(model, into, corpus=(), options=SMALL, seed=1):
    into.mkdir(exist_ok=True)
    prepare(str(model), corpus, into, options, seed=seed, progress=Silent())
    return into


@pytest.fixture
def copy(initial, tmp_path):
    return Path(shutil.copytree(initial, tmp_path / "copy"))


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_is_copied_as_safetensors_with_its_tokenizer(copy, tmp_path):
    into = prepared(copy, tmp_path / "into")
    names = {p.name for p in into.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not [n for n in names if n.endswith((".bin", ".pt", ".pkl"))]
    ours, theirs = (models.load(f, CPU) for f in (into, copy))
    for name, value in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], value)
    assert str(tmp_path) not in (into / "config.json").read_text()


def test_a_folder_without_tokenizer(copy):
    for path in copy.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ConfigError, match="has no tokenizer"):
        models.load(copy, CPU)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "BertForMaskedLM"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "no causal language model"),
        ({"model_type": "homemade", "auto_map": {"AutoConfig": "evil.Config"}}, "cannot be used"),
    ],
)
def test_what_is_no_causal_language_model(copy, changes, words):
    (copy / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    change_config(copy, **changes)
    with pytest.raises(ConfigError, match=words):
        models.load(copy, CPU)


def test_a_tokenizer_of_another_model(initial, copy):
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(copy))
    tokenizer.add_tokens(["grün", "blau"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(ConfigError, match="322 tokens, but the model only 320"):
        models.load(copy, CPU)


def test_pickled_weights_are_not_opened(copy):
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        models.load(copy, CPU)


def test_damaged_weights(copy):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CorruptionDetected, match="damaged"):
        models.load(copy, CPU)


def test_no_end_of_sequence(copy):
    change_config(copy, eos_token_id=None)
    (copy / "generation_config.json").unlink()
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "eos_token"}))
    with pytest.raises(ConfigError, match="end-of-sequence"):
        models.load(copy, CPU)


def test_neither_folder_nor_hub_name(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        prepared("./not/here", tmp_path / "into")
    with pytest.raises(ConfigError, match=r"no config\.json"):
        prepared(tmp_path, tmp_path / "into")


def test_a_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="cannot be had from the hub"):
        prepared("nobody/no-such-model", tmp_path / "into")


def test_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="no CUDA device"):
        device("cuda")


def test_scratch_gives_the_same_bytes_for_the_same_seed(initial, tmp_path):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    again = prepared("scratch", tmp_path / "again", toy_corpus())
    assert hash_folder(again) == hash_folder(initial)
    assert torch.equal(state, torch.get_rng_state())
    other = prepared("scratch", tmp_path / "other", toy_corpus(), SMALL.model_copy(update={"steps": 1}), seed=2)
    assert hash_folder(other) != hash_folder(initial)


def test_scratch_learns_to_stay_with_the_prompt(initial):
    """Most samples name the thing that was asked about."""
    policy = models.load(initial, CPU)
    prompts = [PolicyPrompt(v.prompt_id, v.prompt, v.group) for v in toy_corpus()[::30]]
    drawn = sample(policy, prompts, 8, Sampling(20, temperature=0.7), seed=1)
    hits = [prompts[s.prompt].group in s.text for s in drawn]
    assert sum(hits) / len(hits) > 0.5


@pytest.mark.parametrize("text", ["How is it?", " blanks  and\ttabs\n", "naïve — 漢字 🎈", ""])
def test_scratch_tokenizer_brings_any_text_back(policy, text):
    encoded = encode(policy.tokenizer, "Say it.", text)
    assert policy.tokenizer.decode(encoded.response[:-1], skip_special_tokens=True) == text
    assert encoded.response[-1] == policy.tokenizer.eos_token_id
    assert encoded.prompt[0] == policy.tokenizer.bos_token_id


def test_scratch_knows_conversations(policy):
    talk = PolicyPrompt("c", (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "How?")), "")
    (s,) = sample(policy, [talk], 1, Sampling(4), seed=1)
    text = policy.tokenizer.decode(s.head)
    assert text.endswith("user: How?\nassistant:\n")
    assert text.count("<s>") == 1


def test_scratch_needs_text_and_sizes_that_fit(tmp_path):
    with pytest.raises(NoSignal, match="no response"):
        prepared("scratch", tmp_path / "a")
    with pytest.raises(ConfigError, match="width 18"):
        prepared("scratch", tmp_path / "b", toy_corpus(), ScratchOptions(width=18, heads=4, steps=1))


def test_a_full_disk_while_saving(copy, tmp_path):
    (tmp_path / "into").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageFull):
            prepared(copy, tmp_path / "into")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.shared
def test_a_real_small_model_tunes_and_samples(tmp_path, request):
    shared = Path(os.environ.get("PAIRLOOP_SHARED", request.config.rootpath.parent / "shared"))
    folder = shared / "data" / "tiny-lm"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    policy = models.load(prepared(folder, tmp_path / "pi0"), CPU)
    drawn = sample(policy, [PolicyPrompt("s", "Once upon a time", "")], 4, Sampling(40), seed=1)
    assert len({s.text for s in drawn}) == 4
    assert all(len(s.text.split()) > 10 for s in drawn)
