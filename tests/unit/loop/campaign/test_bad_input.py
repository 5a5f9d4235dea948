"""Bad input and evil plugins: each gets an error that says what is wrong, and the campaign stays usable."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scripted import NAME, Scripted, keys, scripted_campaign, states, to_collecting, to_training

from pairloop import campaign as module
from pairloop.campaign import Advanced, Campaign, Finished
from pairloop.errors import (
    BackendRejected,
    CampaignLocked,
    ConfigError,
    ContractViolation,
    CorruptionDetected,
    DataError,
    PairloopError,
    PluginError,
    PluginNotFound,
)
from pairloop.hookspecs import hookimpl
from pairloop.protocols import (
    FitReport,
    Generated,
    PolicyResult,
    Published,
    RewardModelSpec,
    Selection,
    StrategySpec,
    TunerSpec,
)
from pairloop.records import Choice, Event, Page
from pairloop.states import RoundState
from pairloop.store import Store
from pairloop.testing import toy_reward, toy_tuner
from pairloop.testing.campaigns import toy_config, toy_registry

Make = Callable[..., Campaign]


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


@pytest.fixture
def make(tmp_path: Path, backend: Scripted) -> Iterator[Make]:
    opened: list[Campaign] = []

    def open_it(**changes: Any) -> Campaign:
        for campaign in opened:
            campaign.close()
        opened.append(scripted_campaign(tmp_path / "campaign", backend, **changes))
        return opened[-1]

    yield open_it
    for campaign in opened:
        campaign.close()


# --------------------------------------------------------------------------------------------------- config


def opened(folder: Path, **changes: Any) -> Campaign:
    return Campaign(folder, registry=toy_registry(), config_text=toy_config(**changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"round": {"sise": 3}}, ConfigError, 'round.sise: unknown key (did you mean "size"?)'),
        ({"round": {"size": 0}}, ConfigError, "round.size: Input should be greater than or equal to 1 (got 0)"),
        ({"round": {"size": True}}, ConfigError, "round.size: Input should be a valid integer (got True)"),
        ({"round": {"size": "12"}}, ConfigError, "round.size: Input should be a valid integer (got '12')"),
        ({"selection": {"compare_arms": 1}}, ConfigError, "selection.compare_arms: Input should be a valid boolean"),
        ({"selection": {"strategy": "logdett"}}, PluginNotFound, 'logdett\' (did you mean "logdet"?)'),
        ({"selection": {"strategy": "logdet", "goal": "policy"}}, ConfigError, "'logdet' cannot aim at 'policy'"),
        ({"backend": {"kind": "file-remot"}}, PluginNotFound, 'did you mean "file-remote"?'),
        ({"reward": {"options": {"dimension": 3}}}, ConfigError, 'reward.options.dimension: unknown key (did you mean'),
        ({"holdout": {"share": 0.9}, "selection": {"random_share": 0.2}}, ConfigError, "must not exceed 1"),
        ({"budget": {"cost": 3.0}}, ConfigError, "budget.cost needs budget.cost_per_vote > 0"),
    ],
)  # fmt: skip
def test_a_wrong_config_names_the_key(
    tmp_path: Path, changes: dict[str, Any], error: type[PairloopError], message: str
) -> None:
    with pytest.raises(error) as caught:
        opened(tmp_path / "c", **changes)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_config_or_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file") as error:
        Campaign(tmp_path)
    assert "pairloop init" in str(error.value.hint)
    (tmp_path / "campaign.toml").write_bytes(b"[round]\nsize = \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 15"):
        Campaign(tmp_path)
    (tmp_path / "campaign.toml").write_text("[round\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Campaign(tmp_path)


def test_a_mistyped_part_is_not_adopted(tmp_path: Path) -> None:
    """backend.kind cannot change in mid-campaign; a typo in it must not become the campaign's for ever."""
    with pytest.raises(PluginNotFound):
        opened(tmp_path, backend={"kind": "file-remot"})
    with Store.open_readonly(tmp_path) as store:
        assert store.get_meta("config") is None
    opened(tmp_path).close()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"campaign": {"seed": 8}}, "campaign.seed changed from 7 to 8"),
        ({"campaign": {"id": "other"}}, "campaign.id changed from 'toy' to 'other'"),
        ({"holdout": {"fraction": 0.5}}, "holdout.fraction changed from 0.2 to 0.5"),
        ({"reward": {"model": "tfidf"}}, "reward.model changed from 'toy' to 'tfidf'"),
    ],
)
def test_what_decides_ids_and_splits_cannot_change(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    opened(tmp_path).close()
    with pytest.raises(ConfigError) as error:
        opened(tmp_path, **changes)
    assert key in str(error.value)
    with opened(tmp_path, round={"size": 3}) as campaign:
        assert campaign.store.events.tail(1)[0].body == {"changes": ["round.size"]}


# ----------------------------------------------------------------------------------------------------- data


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with opened(tmp_path / "c", data={"source": "jsonl", "path": "nowhere.jsonl", "options": {}}) as campaign:
        with pytest.raises(DataError, match=r"nowhere\.jsonl"):
            campaign.step()
        assert campaign.store.pool.size() == (0, 0)


def test_malformed_lines_in_the_middle_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """Broken JSON, invalid UTF-8, a NUL and a megabyte among good lines."""
    good = [json.dumps({"prompt": f"question {i} {i * 7919}", "responses": ["yes", f"no {i}"]}) for i in range(9)]
    big = json.dumps({"prompt": "big", "responses": ["x" * 1_000_000, "small\x00er"]})
    lines = [*(line.encode() for line in good[:5]), b'{"prompt": "half', b'{"prompt": "\xff\xfe"}', big.encode()]
    (tmp_path / "data.jsonl").write_bytes(b"\n".join([*lines, *(line.encode() for line in good[5:])]) + b"\n")
    (tmp_path / "campaign.toml").write_text(toy_config(data={"source": "jsonl", "path": "data.jsonl", "options": {}}))
    with Campaign(tmp_path, registry=toy_registry()) as campaign:
        report = campaign.import_data()
        assert (report.accepted, report.rejected) == (10, 2)
        rejected = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
        assert [one["line"] for one in rejected] == [6, 7]
        texts = {r.text for r in campaign.store.pool.responses()}
        assert {"x" * 1_000_000, "small\ufffder"} <= texts
        assert isinstance(campaign.run(), Finished)
        assert campaign.store.check() == []


def test_an_empty_pool_is_an_error_and_not_a_round(tmp_path: Path) -> None:
    with opened(tmp_path / "c", data={"options": {"prompts": 0}}) as campaign:
        with pytest.raises(DataError, match="no usable row"):
            campaign.run()
        assert campaign.store.rounds.all() == []


def test_an_exhausted_pool_finishes_the_campaign(tmp_path: Path) -> None:
    with opened(
        tmp_path / "c", data={"options": {"prompts": 3, "responses": 2}}, round={"max_rounds": 50},
        policy={"tuner": None},
    ) as campaign:  # fmt: skip
        assert campaign.run() == Finished("the pool is exhausted: every pair was asked")
        assert len(campaign.store.annotations.votes()) == 3
        rounds = len(campaign.store.rounds.all())
        assert campaign.run() == Finished("the pool is exhausted: every pair was asked")
        assert len(campaign.store.rounds.all()) == rounds, "no round is opened to find that out again"


# ---------------------------------------------------------------------------------------------------- votes


@pytest.mark.parametrize(
    ("choice", "message"),
    [(Choice.TIE, "0 decisive votes"), (Choice.LEFT, "6 decisive votes"), (Choice.SKIP, "0 decisive")],
)
def test_votes_without_signal_keep_the_old_model(make: Make, backend: Scripted, choice: Choice, message: str) -> None:
    """All ties, or always left: the fit is rejected with its reason, and the campaign goes on."""
    campaign = make()
    to_collecting(campaign)
    backend.answer(keys(campaign), choice)
    to_training(campaign)
    outcome = campaign.step()
    assert isinstance(outcome, Advanced)
    assert outcome.state is RoundState.CLOSED
    assert message in outcome.note
    [rejected] = campaign.store.models.all("reward")
    assert not rejected.accepted
    assert message in rejected.report["rejected"]
    to_collecting(campaign)
    backend.answer(keys(campaign, 2))
    to_training(campaign)
    campaign.step()
    assert campaign.store.models.current("reward") is not None


def test_always_left_is_no_signal_for_the_shipped_model_either(make: Make, backend: Scripted) -> None:
    campaign = make(reward={"model": "tfidf"})
    to_collecting(campaign)
    backend.answer(keys(campaign), Choice.LEFT)
    to_training(campaign)
    assert isinstance(campaign.step(), Advanced)
    assert campaign.store.models.current("reward") is None


def test_free_text_from_annotators_is_made_storable(make: Make, backend: Scripted) -> None:
    campaign = make()
    to_collecting(campaign)
    told = campaign.tell([backend.vote(keys(campaign)[0], reason="a\x00b\udc80", annotator="m\ud800e" + "🙂")])
    assert told.new == 1
    [vote] = campaign.store.annotations.votes()
    assert (vote.reason, vote.annotator) == ("a\ufffdb\ufffd", "m\ufffde🙂")
    campaign.store.annotations.verify()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"remote_id": ""}, "empty or over-long"),
        ({"annotator": "x" * 100_001}, "empty or over-long"),
        ({"remote_id": 7}, "empty or over-long"),
        ({"revision": "\ud800"}, "control characters or lone surrogates"),
        ({"reason": "x" * 100_001}, "a reason of 100,001 characters"),
        ({"reason": 3}, "reason = 3"),
        ({"seconds": float("inf")}, "seconds = inf"),
        ({"seconds": -1.0}, "seconds = -1.0"),
        ({"seconds": "12"}, "seconds = '12'"),
        ({"cost": float("nan")}, "cost = nan"),
        ({"prompt_rating": 6}, "prompt_rating = 6"),
        ({"prompt_rating": 1.5}, "prompt_rating = 1.5"),
        ({"strength": "very"}, "strength = 'very'"),
        ({"choice": "left"}, "choice = 'left'"),
        ({"kind": "human"}, "kind = 'human'"),
        ({"deleted": 1}, "neither True nor False"),
    ],
)
def test_an_annotation_that_cannot_be_stored_is_named(
    make: Make, backend: Scripted, fields: dict[str, Any], message: str
) -> None:
    """By `tell` and from a backend alike; nothing of its page is stored, and the cursor stays."""
    campaign = make()
    to_collecting(campaign)
    good = backend.vote(keys(campaign)[0])
    bad = replace(backend.vote(keys(campaign)[1], remote_id="bad-one"), **fields)
    for call in (lambda: campaign.tell([good, bad]), lambda: (backend.queue.extend([good, bad]), campaign.step())):
        with pytest.raises(ContractViolation) as error:
            call()
        assert message in str(error.value)
        if "remote_id" not in fields:
            assert "'bad-one'" in str(error.value)
    assert campaign.store.annotations.last_seq() == 0
    assert campaign.store.cursor(NAME) is None


# ------------------------------------------------------------------------------------------- evil backends


@pytest.mark.parametrize(
    ("call", "answer", "message"),
    [
        ("publish", lambda tasks: Published({}), "lost 6 of 6 tasks without a word"),
        ("publish", lambda tasks: Published({t.key: "1" for t in tasks} | {"x": "2"}), "keys that it was not given"),
        ("publish", lambda tasks: Published({t.key: "1" for t in tasks}, {tasks[0].key: "no"}), "both took and"),
        ("publish", lambda tasks: Published({t.key: 5 for t in tasks}), "that is no plain text: 5"),
        ("publish", lambda tasks: None, "backend 'scripted' failed with AttributeError"),
        ("publish", lambda tasks: 1 / 0, "backend 'scripted' failed with ZeroDivisionError: division by zero"),
        ("lookup", lambda keys: {"x": "1"}, "found keys that it was not asked for"),
        ("lookup", dict.fromkeys, "a remote id that is no plain text: None"),
        ("poll", lambda cursor: Page((), 7), "a cursor that is no plain text: 7"),
        ("poll", lambda cursor: Page(({"key": "k"},), "1"), "with type dict"),
        ("poll", lambda cursor: [], "backend 'scripted' failed with AttributeError"),
    ],
)  # fmt: skip
def test_an_evil_backend_is_named_and_nothing_is_lost(
    make: Make, backend: Scripted, call: str, answer: Callable[..., Any], message: str
) -> None:
    campaign = make()
    campaign.step()
    campaign.step()
    backend.on[call] = answer
    with pytest.raises(PluginError) as error:  # noqa: PT012 - which of the steps calls it depends on the call
        for _ in range(3):
            campaign.step()
    assert message in str(error.value)
    assert error.value.exit_code == 4
    backend.on.clear()
    to_collecting(campaign)
    backend.answer(keys(campaign))
    to_training(campaign)
    assert states(campaign) == {"answered": 6}
    assert campaign.store.check() == []


def test_a_backend_that_never_answers_is_not_polled_for_ever(
    make: Make, backend: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IDLE_LIMIT", 20)
    backend.capabilities = replace(backend.capabilities, blocking=True)
    with pytest.raises(BackendRejected, match="brought nothing in 21 polls"):
        make().run()


# ---------------------------------------------------------------------------------------- evil strategies


class EvilStrategy:
    """Does what a test says instead of selecting; a plugin and its strategy in one."""

    def __init__(self, select: Callable[..., Any]) -> None:
        self.select = select

    @hookimpl
    def pairloop_strategies(self) -> Sequence[StrategySpec]:
        return [StrategySpec("evil", lambda _options: self)]


def picks(*numbers: Any) -> Selection:
    array = np.array(numbers)
    return Selection(array, np.zeros(len(array)), np.full(len(array), np.nan))


def of_one_prompt(context: Any) -> Any:
    prompt = context.prompt[context.candidates[:, 0]]
    return np.flatnonzero(prompt == prompt[0])


def spoil(context: Any, n: int) -> Selection:
    context.candidates[:] = context.candidates[::-1].copy()
    return picks(*range(n))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (lambda context, n: picks(0, 0), "picked a pair twice"),
        (lambda context, n: picks(-1), "not a candidate"),
        (lambda context, n: picks(len(context.candidates)), "not a candidate"),
        (lambda context, n: picks(*range(n + 1)), "for n = "),
        (lambda context, n: picks(0.5), "of type float64"),
        (lambda context, n: picks(*of_one_prompt(context)[:2]), "more than 1 pairs of one prompt"),
        (lambda context, n: Selection(np.arange(2), np.zeros(1), np.zeros(2)), "another length"),
        (lambda context, n: None, "failed with AttributeError"),
        (lambda context, n: 1 / 0, "failed with ZeroDivisionError"),
        (spoil, "failed with ValueError: assignment destination is read-only"),
        (lambda context, n: context.prompt.sort(), "failed with ValueError"),
    ],
)  # fmt: skip
def test_an_evil_strategy_is_named_and_chooses_nothing(make: Make, select: Callable[..., Any], message: str) -> None:
    campaign = make(
        modules={"strategy.evil": EvilStrategy(select)}, selection={"strategy": "evil", "random_share": 0.0},
    )  # fmt: skip
    campaign.step()
    with pytest.raises(PluginError) as error:
        campaign.step()
    assert "strategy 'evil'" in str(error.value)
    assert message in str(error.value)
    assert campaign.store.dump("assignments") == []
    make(selection={"strategy": "random"}).step()


# ----------------------------------------------------------------------------------------------- evil models


class EvilModel(toy_reward.ToyRewardModel):
    """The toy with one method replaced."""

    evil: Mapping[str, Callable[..., Any]] = {}

    def fit(self, data: Any, *, seed: int) -> FitReport:
        report = super().fit(data, seed=seed)
        return self.evil.get("fit", lambda data, report: report)(data, report)  # type: ignore[no-any-return]

    def posterior(self, responses: Any) -> Any:
        honest = super().posterior(responses)
        return self.evil["posterior"](honest) if self._fitted and "posterior" in self.evil else honest

    def save(self, into: Path) -> None:
        super().save(into)
        self.evil.get("save", lambda into: None)(into)


class EvilModels:
    def __init__(self, **evil: Callable[..., Any]) -> None:
        self._model = type("Evil", (EvilModel,), {"evil": evil})

    @hookimpl
    def pairloop_reward_models(self) -> Sequence[RewardModelSpec]:
        make: Any = lambda _o, _c: self._model(toy_reward.ToyRewardOptions())  # noqa: E731
        return [RewardModelSpec("evil", make, lambda folder, _c: self._model.load(folder))]


def trained(make: Make, backend: Scripted, models: object) -> Campaign:
    """A campaign that is about to train the model."""
    campaign = make(modules={"reward.evil": models}, reward={"model": "evil"})
    to_collecting(campaign)
    backend.answer(keys(campaign))
    to_training(campaign)
    return campaign


def spoiled(array: Any, value: float) -> Any:
    out = np.array(array)
    out.flat[0] = value
    return out


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        ({"posterior": lambda p: replace(p, mean=spoiled(p.mean, np.nan))}, "NaN or infinity"),
        ({"posterior": lambda p: replace(p, whitened=spoiled(p.whitened, np.inf))}, "NaN or infinity"),
        ({"posterior": lambda p: replace(p, temperature=float("nan"))}, "NaN or infinity"),
        ({"fit": lambda data, report: FitReport(3, {"loss": float("nan")})}, "reported loss = nan"),
    ],
)
def test_numbers_that_are_none_reject_the_fit(
    make: Make, backend: Scripted, evil: dict[str, Any], message: str
) -> None:
    """The round closes, the reason is stored, no model is current."""
    campaign = trained(make, backend, EvilModels(**evil))
    outcome = campaign.step()
    assert isinstance(outcome, Advanced)
    assert message in outcome.note
    assert campaign.store.models.current("reward") is None


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        ({"posterior": lambda p: replace(p, mean=p.mean[1:])}, "posterior has shapes (95,)"),
        ({"posterior": lambda p: replace(p, flip_rate=0.7)}, "flip rate 0.7"),
        ({"posterior": lambda p: None}, "failed with AttributeError"),
        ({"fit": lambda data, report: 1 / 0}, "failed with ZeroDivisionError"),
        ({"fit": lambda data, report: data.outcome.fill(0)}, "read-only"),
        ({"fit": lambda data, report: FitReport(3, {"loss": "low"})}, "reported 'loss' = 'low', which is no number"),
        ({"save": lambda into: 1 / 0}, "failed with ZeroDivisionError"),
    ],
)
def test_an_evil_model_is_named_and_the_round_stays(
    make: Make, backend: Scripted, evil: dict[str, Any], message: str
) -> None:
    """Mended, it trains."""
    campaign = trained(make, backend, EvilModels(**evil))
    with pytest.raises(PluginError) as error:
        campaign.step()
    assert message in str(error.value)
    assert campaign.store.models.all("reward") == []
    assert not (campaign.folder / "artifacts" / "reward" / ".incoming").exists()
    mended = make(modules={"reward.evil": EvilModels()}, reward={"model": "evil"})
    assert isinstance(mended.step(), Advanced)
    assert mended.store.models.current("reward") is not None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-2] + bytes([b[-2] ^ 1]) + b[-1:]])
def test_a_damaged_model_file_is_not_loaded(make: Make, backend: Scripted, damage: Callable[[bytes], bytes]) -> None:
    """And training again, as the hint says, repairs the campaign."""
    campaign = make(round={"max_rounds": 1})
    to_collecting(campaign)
    backend.answer(keys(campaign)[:5])
    backend.answer(keys(campaign)[5:])
    assert isinstance(campaign.run(), Finished)
    row = campaign.store.models.current("reward")
    assert row is not None
    path = campaign.folder / "artifacts" / "reward" / str(row.artifact) / "model.json"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptionDetected, match="does not match its hash") as error:
        campaign._context.current_model()
    assert "pairloop reopen, then pairloop run" in str(error.value.hint)
    campaign.reopen()
    backend.answer(keys(campaign)[:1], Choice.RIGHT, annotator="somebody else")
    assert isinstance(campaign.run(), Finished)
    assert campaign._context.current_model() is not None
    assert "model_damaged" in {event.kind for event in campaign.store.events.tail(50)}


@pytest.mark.parametrize("missing", [False, True])
def test_a_round_that_cannot_choose_by_a_damaged_model_trains_again(
    make: Make, backend: Scripted, missing: bool
) -> None:
    """Damage is met when the next round selects; from there, too, the hint leads on."""
    campaign = make(round={"max_rounds": 4})
    to_collecting(campaign)
    backend.answer(keys(campaign))
    to_training(campaign)
    campaign.step()
    row = campaign.store.models.current("reward")
    assert row is not None
    folder = campaign.folder / "artifacts" / "reward" / str(row.artifact)
    (folder / "model.json").write_text("{}")
    if missing:
        folder.rename(campaign.folder / "elsewhere")
    with pytest.raises(CorruptionDetected) as error:
        campaign.step()
    assert "pairloop reopen, then pairloop run" in str(error.value.hint)
    assert campaign.reopen() == 2
    while campaign.store.rounds.all()[-1].number == 2 or not keys(campaign):
        assert isinstance(campaign.step(), Advanced)
    assert len(campaign.store.models.all("reward")) == 2
    assert campaign._context.current_model() is not None
    assert campaign.store.check() == []


# ----------------------------------------------------------------------------------------------- evil tuners


class EvilTuner(toy_tuner.ToyTuner):
    evil: Mapping[str, Callable[..., Any]] = {}

    def tune(self, job: Any, scorer: Any, progress: Any) -> PolicyResult:
        result = super().tune(job, scorer, progress)
        return self.evil["tune"](result) if "tune" in self.evil else result  # type: ignore[no-any-return]

    def generate(self, policy: Any, prompts: Any, n: int, scorer: Any, *, seed: int, threads: int = 1) -> Any:
        made = super().generate(policy, prompts, n, scorer, seed=seed, threads=threads)
        return self.evil["generate"](made) if "generate" in self.evil else made


class EvilTuners:
    def __init__(self, **evil: Callable[..., Any]) -> None:
        self._tuner = type("Evil", (EvilTuner,), {"evil": evil})

    @hookimpl
    def pairloop_tuners(self) -> Sequence[TunerSpec]:
        return [TunerSpec("evil", lambda _options: self._tuner(toy_tuner.ToyTunerOptions()))]


@pytest.mark.parametrize(
    ("evil", "message"),
    [
        ({"tune": lambda r: replace(r, checkpoint=Path("/nowhere"))}, "delivered no checkpoint (/nowhere)"),
        ({"tune": lambda r: replace(r, summary={"kl": float("nan")})}, "reported kl = nan"),
        ({"tune": lambda r: replace(r, metrics=[{"step": "one"}])}, "which is no number"),
        ({"tune": lambda r: 1 / 0}, "policy tuner 'evil' failed with ZeroDivisionError"),
        ({"generate": lambda g: [Generated("pnone", "hello", {})]}, "answered a prompt that it was not given: 'pnone'"),
        ({"generate": lambda g: [replace(one, sampling={"t": object()}) for one in g]}, "failed with TypeError"),
        ({"generate": lambda g: [replace(one, text=None) for one in g]}, "failed with AttributeError"),
    ],
)
def test_an_evil_tuner_is_named_and_the_round_stays(
    make: Make, backend: Scripted, evil: dict[str, Any], message: str
) -> None:
    policy = {"tuner": "evil", "start_labels": 1}
    campaign = make(modules={"policy.evil": EvilTuners(**evil)}, policy=policy, round={"max_rounds": 1})
    to_collecting(campaign)
    backend.answer(keys(campaign))
    to_training(campaign)
    responses = campaign.store.pool.size()[1]
    with pytest.raises(PairloopError) as error:
        campaign.run()
    assert message in str(error.value)
    assert error.value.exit_code == 4
    assert campaign.store.pool.size()[1] == responses
    mended = make(modules={"policy.evil": EvilTuners()}, policy=policy, round={"max_rounds": 1})
    assert isinstance(mended.run(), Finished)
    assert mended.store.pool.size()[1] > responses


def test_a_summary_may_use_any_names(make: Make, backend: Scripted) -> None:
    """Also those of an event's own fields."""
    tuners = EvilTuners(tune=lambda r: replace(r, summary={"kind": 1.0, "round": 2.0, "stop": 3.0, "self": 4.0}))
    campaign = make(
        modules={"policy.evil": tuners}, policy={"tuner": "evil", "start_labels": 1}, round={"max_rounds": 1}
    )
    to_collecting(campaign)
    backend.answer(keys(campaign))
    assert isinstance(campaign.run(), Finished)


# ------------------------------------------------------------------------------------------------- observers


class Observer:
    """Notes all events; fails when a test says so."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.fail = False
        self.stop: Any = None

    @hookimpl
    def pairloop_event(self, event: Event) -> None:
        self.seen.append(event)
        if self.fail:
            raise RuntimeError("observer trouble")

    @hookimpl
    def pairloop_should_stop(self, facts: Any) -> str | None:
        return self.stop() if callable(self.stop) else self.stop


@pytest.mark.parametrize("fail", [False, True])
def test_observers_hear_everything_in_order_and_cannot_stop_it(
    make: Make, backend: Scripted, caplog: pytest.LogCaptureFixture, fail: bool
) -> None:
    observer = Observer()
    observer.fail = fail
    with caplog.at_level(logging.ERROR, logger="pairloop"):
        campaign = make(modules={"observer.watch": observer}, campaign={"plugins": ["watch"]}, round={"max_rounds": 1})
        to_collecting(campaign)
        backend.answer(keys(campaign))
        assert isinstance(campaign.run(), Finished)
    stored = campaign.store.dump("events")
    assert [(event.id, event.kind) for event in observer.seen] == [(row["id"], row["kind"]) for row in stored]
    assert observer.seen[0].kind == "campaign_created"
    assert ("an observer plugin failed on" in caplog.text) == fail


def test_a_plugin_can_end_the_campaign_and_its_failure_is_named(make: Make) -> None:
    observer = Observer()
    campaign = make(modules={"observer.watch": observer}, campaign={"plugins": ["watch"]})
    observer.stop = "enough"
    campaign.step()
    assert campaign.step() == Finished("enough")
    observer.stop = lambda: 1 / 0
    with pytest.raises(PluginError, match="hook 'pairloop_should_stop' failed with ZeroDivisionError"):
        campaign.step()
    observer.stop = None
    assert isinstance(campaign.step(), Advanced)


def test_two_campaigns_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as campaign:
        campaign.step()
        with pytest.raises(CampaignLocked, match="in use by process"):
            opened(tmp_path)
        assert isinstance(campaign.step(), Advanced)
