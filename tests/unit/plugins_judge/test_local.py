"""The judge ``local``: with a model made on the spot, and with the tiny language model of the shared data."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pairloop.errors import ConfigError
from pairloop.protocols import Judge, JudgeContext, JudgeQuestion
from pairloop.records import Choice
from pairloop.testing.judges import JudgeContract, checked
from pairloop_plugins.judge.local import LocalJudge
from pairloop_plugins.judge.options import LocalOptions

pytestmark = pytest.mark.torch
SHARED = Path(os.environ.get("PAIRLOOP_SHARED", Path(__file__).parents[4] / "shared")) / "data/tiny-lm"
QUESTION = JudgeQuestion("Name a colour.", "Blue.", "I would rather not say.")
WORDS = ["<eos>", "<unk>", "A", "B", "tie", "Answer", ":", "colour", "Blue", ".", "Name", "a"]


def write_model(
    folder: Path, *, context: int = 2048, prefers: str | None = None, words: list[str] | None = None
) -> Path:
    """A random two-layer model; ``prefers`` makes one word likely after anything."""
    vocabulary = {word: number for number, word in enumerate(words or WORDS)}
    special = {"unk_token": "<unk>", "eos_token": "<eos>"}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=context, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    if prefers is not None:
        model.model.norm.weight.data.zero_()
        model.lm_head = torch.nn.Linear(16, len(vocabulary), bias=False)
        model.lm_head.weight.data.zero_()
        model.model.norm.weight.data.fill_(1.0)
        model.model.embed_tokens.weight.data.fill_(1.0)
        model.lm_head.weight.data[vocabulary[prefers]] = 1.0
    model.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def make(model: Path, **options: Any) -> LocalJudge:
    return LocalJudge(LocalOptions(model=str(model), **options), JudgeContext(model.parent))


class TestContract(JudgeContract):
    @pytest.fixture
    def judge_factory(self, folder: Path) -> Callable[[], Judge]:
        return lambda: make(folder)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not beside the checkout")
class TestTinyModel(JudgeContract):
    @pytest.fixture
    def judge_factory(self, tmp_path: Path) -> Callable[[], Judge]:
        (tmp_path / "short.txt").write_text("[[prompt]] A: [[left]] B: [[right]] Better:", encoding="utf-8")
        return lambda: LocalJudge(LocalOptions(model=str(SHARED), template="short.txt"), JudgeContext(tmp_path))

    def test_it_votes(self, judge: Judge) -> None:
        """The tiny model's context holds a short question."""
        assert checked(judge, (QUESTION,))[0].choice is not Choice.SKIP


@pytest.mark.parametrize(("word", "choice"), [("A", Choice.LEFT), ("B", Choice.RIGHT), ("tie", Choice.TIE)])
def test_the_likeliest_answer_is_the_answer(tmp_path: Path, word: str, choice: Choice) -> None:
    (answer,) = make(write_model(tmp_path / "m", prefers=word)).ask([QUESTION])
    assert answer.choice is choice
    assert answer.p_left is not None
    assert {Choice.LEFT: answer.p_left > 0.6, Choice.RIGHT: answer.p_left < 0.4}.get(choice, answer.p_left == 0.5)


def test_probabilities_are_the_models(folder: Path) -> None:
    """Against a plain computation, one answer at a time."""
    judge = make(folder)
    (answer,) = judge.ask([QUESTION])
    head = judge._encode(QUESTION)
    with torch.no_grad():
        logits = judge._model(torch.tensor([head])).logits[0, -1].double()
    share = torch.softmax(logits[[WORDS.index(word) for word in ("A", "B", "tie")]], dim=0)
    assert answer.p_left is None or answer.p_left == pytest.approx(float(share[0] + share[2] / 2), abs=1e-5)
    assert answer.choice is (Choice.LEFT, Choice.RIGHT, Choice.TIE)[int(share.argmax())]


def test_without_ties(tmp_path: Path) -> None:
    (answer,) = make(write_model(tmp_path / "m", prefers="tie"), ties=False).ask([QUESTION])
    assert answer.choice in (Choice.LEFT, Choice.RIGHT)


def test_what_does_not_fit_is_an_abstention(tmp_path: Path) -> None:
    judge = make(write_model(tmp_path / "m", context=300))
    short, long = judge.ask([QUESTION, JudgeQuestion("a " * 400, "Blue.", "a")])
    assert short.choice is not Choice.SKIP
    assert long.choice is Choice.SKIP
    assert "do not fit" in (long.reason or "")


def test_a_chat_template_is_used(tmp_path: Path, folder: Path) -> None:
    chat = write_model(tmp_path / "m")
    (chat / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }}\n{% endfor %}A B A B", encoding="utf-8"
    )
    assert make(chat)._encode(QUESTION)[-4:] == [2, 3, 2, 3]
    assert make(chat, chat="never")._encode(QUESTION)[-2:] == [WORDS.index("Answer"), WORDS.index(":")]
    with pytest.raises(ConfigError, match="no chat template"):
        make(folder, chat="always").ask([QUESTION])


def test_answers_that_look_the_same_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="apart"):
        make(write_model(tmp_path / "m", words=["<eos>", "<unk>", "A"])).ask([QUESTION])


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="cannot load"):
        make(tmp_path / "empty").ask([QUESTION])


def test_other_weights_are_another_judge(tmp_path: Path, folder: Path) -> None:
    assert make(folder).identity == make(folder, batch_size=2).identity
    assert make(folder).identity != make(folder, ties=False).identity
    other = write_model(tmp_path / folder.name, prefers="A")
    assert make(folder).identity != make(other).identity
