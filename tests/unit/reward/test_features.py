"""Features: robust to any text, learned from trainable texts only, a fixed map afterwards."""

import numpy as np
import pytest

from pairloop.records import Message, ResponseView
from pairloop_reward.features import fit_featurizer
from pairloop_reward.options import TfidfOptions
from pairloop_reward.surface import FEATURES, surface_row
from pairloop_reward.textspace import fit_vectorizer, principal_directions, within_prompt

OPTIONS = TfidfOptions()


def views(*texts, prompt="Say something", prompt_id="p"):
    return [ResponseView(f"r{k}", prompt_id, prompt, text, "g") for k, text in enumerate(texts)]


def fitted(responses, options=OPTIONS, trainable=None):
    return fit_featurizer(responses, np.ones(len(responses), dtype=bool) if trainable is None else trainable, options)


def surface(text, prompt=""):
    return dict(zip(FEATURES, surface_row(prompt, text), strict=True))


def test_surface_features_say_what_their_names_say():
    row = surface('One, two! Is "THREE" 4?\n\n- item\n1. `code` **bold** https://x.org', prompt="one two nine")
    assert row["log_questions"] == pytest.approx(np.log(2))
    assert row["log_exclamations"] == pytest.approx(np.log(2))
    assert row["log_commas"] == pytest.approx(np.log(2))
    assert row["log_quotes"] == pytest.approx(np.log(3))
    assert row["log_list_items"] == pytest.approx(np.log(3))
    assert row["log_code"] == row["log_headings"] == row["log_urls"] == pytest.approx(np.log(2))
    assert row["prompt_covered"] == pytest.approx(2 / 3)
    assert row["empty"] == 0.0
    assert row["starts_upper"] == 1.0
    assert row["ends_sentence"] == 0.0
    assert surface("a b a b a b")["repeated_word_pairs"] == pytest.approx(1 - 2 / 5)
    assert surface("ÄÖ ab")["not_ascii"] == pytest.approx(2 / 5)
    assert surface("AB ab")["upper_case"] == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    "text", ["", " \n ", "!!!", "\x00\ud800", "日本語のテキスト。とても良い。", "مرحبا بالعالم", "🙂" * 50]
)
def test_any_text_has_finite_features(text):
    assert np.isfinite(surface_row("", text)).all()
    responses = [*views("a plain answer", text), *views("another prompt", text + " x", prompt_id="q")]
    assert np.isfinite(fitted(responses).transform(responses)).all()


def test_texts_without_any_token_leave_the_surface_features():
    responses = views("", " ", "\n")
    featurizer = fitted(responses)
    assert featurizer.blocks == (len(FEATURES), 0)
    assert np.isfinite(featurizer.transform(responses)).all()


def test_equal_texts_have_no_text_directions():
    assert fitted(views("same text", "same text", "same text")).blocks[1] == 0


@pytest.mark.parametrize("texts", [(), ("only one",)])
def test_hardly_any_response_is_no_error(texts):
    responses = views(*texts)
    assert fitted(responses).transform(responses).shape[0] == len(texts)


def test_nothing_trainable_is_no_error(pool):
    responses = pool(4)
    assert np.isfinite(fitted(responses, trainable=np.zeros(16, dtype=bool)).transform(responses)).all()


def test_a_megabyte_is_cut_for_the_model():
    base = "word salad " * 10_000
    responses = views(base + "one ending", base + "another ending", "short")
    features = fitted(responses).transform(responses)
    assert np.array_equal(features[0], features[1])
    assert not np.array_equal(features[0], features[2])


def test_conversations_are_read_as_text():
    talk = (Message("user", "tell me about bread"), Message("assistant", "what kind"))
    response = ResponseView("r", "p", talk, "about bread", "g")
    assert np.isfinite(fitted([response]).transform([response])).all()


def test_texts_of_the_holdout_teach_nothing(pool):
    responses = pool(20)
    trainable = np.arange(80) < 60
    other = [*responses[:60], *views(*(f"other words entirely {k}" for k in range(20)))]
    one, two = fitted(responses, trainable=trainable), fitted(other, trainable=trainable)
    assert one.text.terms == two.text.terms
    assert np.array_equal(one.transform(responses), two.transform(responses))


def test_a_response_has_the_same_bits_in_every_company(pool):
    responses = pool(20)
    featurizer = fitted(responses)
    together = featurizer.transform(responses)
    assert np.array_equal(featurizer.transform(responses[7:8])[0], together[7])
    assert np.array_equal(featurizer.transform(responses[::-1]), together[::-1])


def test_fitting_twice_gives_the_same_bits(pool):
    responses = pool(20)
    assert np.array_equal(fitted(responses).transform(responses), fitted(responses).transform(responses))


def test_blocks_put_responses_of_one_prompt_at_mean_squared_distance_one(pool):
    responses = pool(40)
    featurizer = fitted(responses)
    features = featurizer.transform(responses).astype(float).reshape(40, 4, -1)
    s = featurizer.blocks[0]
    for block in (features[:, :, :s], features[:, :, s:]):
        distance = [((block[:, i] - block[:, j]) ** 2).sum(axis=1) for i in range(4) for j in range(i)]
        assert np.mean(distance) == pytest.approx(1.0, rel=0.02)


def test_one_odd_response_does_not_tower_above_the_others(pool):
    responses = [*pool(20), *views("ZZZ???!!!" * 500, prompt_id="p0", prompt="Talk about school 0")]
    lengths = np.linalg.norm(fitted(responses).transform(responses), axis=1)
    assert lengths[-1] <= 3.01 * np.median(lengths[:-1])


@pytest.mark.parametrize(
    ("options", "blocks"), [({"surface": False}, (0, 16)), ({"dimensions": 0}, (len(FEATURES), 0))]
)
def test_options_choose_the_blocks(pool, options, blocks):
    featurizer = fitted(pool(20), TfidfOptions(**{"dimensions": 16, **options}))
    assert featurizer.blocks == blocks


def test_directions_constant_within_prompts_are_left_out():
    texts = [f"topic{p} topic{p} topic{p} {word}" for p in range(6) for word in ("yes", "no")]
    prompt = np.repeat(np.arange(6), 2)
    terms, _, matrix = fit_vectorizer(texts, 1000)
    components, values = principal_directions(matrix, prompt, 1)
    direction = dict(zip(terms, np.abs(components[:, 0]), strict=True))
    assert min(direction["yes"], direction["no"]) > 5 * max(direction[f"topic{p}"] for p in range(6))
    dense = within_prompt(matrix.toarray(), prompt)
    assert values[0] == pytest.approx(np.linalg.svd(dense, compute_uv=False)[0])


def test_rare_terms_are_kept_only_when_there_are_no_others():
    assert fit_vectorizer(["alpha beta", "alpha gamma"], 100)[0] == ["alpha"]
    assert fit_vectorizer(["alpha", "gamma"], 100)[0] == ["alpha", "gamma"]
    assert fit_vectorizer(["", "  "], 100) is None


def test_the_vocabulary_has_a_limit():
    texts = [f"word{k % 50} word{k % 30} common" for k in range(200)]
    assert len(fit_vectorizer(texts, 10)[0]) == 10
