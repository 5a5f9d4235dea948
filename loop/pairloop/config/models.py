"""The configuration models. Their docstrings are the reference (``docs/configuration.md`` is generated from them)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pairloop.kit.options import Options

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
PluginOptions = dict[str, Any]


class CampaignConfig(Options):
    """Who this campaign is."""

    name: Name = "campaign"
    """Lower-case name; letters, digits, "-" and "_"."""
    seed: int = Field(default=0, ge=0)
    """Everything random is derived from it: the same seed gives the same campaign."""
    id: Name | None = None
    """Fixed id for comparisons row by row; a random one is drawn when left out."""
    plugins: tuple[str, ...] = ()
    """Observer plugins to load, by entry-point name (``observer.<name>``)."""


class DataConfig(Options):
    """Where prompts and responses come from."""

    source: str = "jsonl"
    """Pair source: see ``pairloop plugins``."""
    path: str | None = None
    """File or folder of the source, relative to the configuration file."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the source."""
    license: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$")
    """Licence of prompts, responses and votes for the cards of exports, as an identifier such as "cc-by-4.0"."""
    near_duplicate_threshold: Share = 0.9
    """Prompts whose word 3-gram sets are at least this similar (Jaccard) share a group; 1 turns the search off."""


Curation = Literal["off", "report", "remove"]


class CurationConfig(Options):
    """What imports look for in responses: "off", "report", or "remove", which leaves them out and says why."""

    empty: Curation = "report"
    """Responses of nothing but blanks. They are kept by default: models do write them, and people vote on them."""
    too_short: Curation = "report"
    """Responses with fewer characters than ``short_below``."""
    short_below: int = Field(default=10, ge=1)
    """Characters."""
    repeated: Curation = "report"
    """Responses that loop: a share of their word 4-grams above ``repeated_above`` repeats others."""
    repeated_above: Share = 0.5
    """That share."""
    cut_off: Curation = "report"
    """Responses that end in the middle of a sentence or a code block where those beside them do not."""
    other_language: Curation = "report"
    """Responses in another script than their prompt; with ``languages``, in another language."""
    languages: bool = False
    """Tell languages of one script apart, too; needs pairloop[languages]."""
    wrong_encoding: Curation = "report"
    """Responses with replacement characters, or with UTF-8 that was read as cp1252."""
    near_duplicate: Curation = "report"
    """Responses nearly the same as an earlier one to the same prompt (those exactly the same are always merged)."""
    near_duplicate_at: Share = 0.9
    """Jaccard similarity of their word 3-grams, from which on."""
    outlier: Curation = "report"
    """Prompts that are like no other by their words; with one, its whole row is left out."""
    evaluation: Curation = "report"
    """Prompts and responses that share text with a file named below; with a prompt, its whole row is left out."""
    evaluation_files: tuple[str, ...] = ()
    """Evaluation sets, relative to the configuration file: JSON lines, of which every text counts, or texts by line."""
    evaluation_words: int = Field(default=13, ge=3)
    """So many words in sequence are an overlap."""


class BackendConfig(Options):
    """Who annotates."""

    kind: str = "simulated"
    """Annotation backend: see ``pairloop plugins``."""
    gold: str | None = None
    """Gold scorer by which simulated annotators judge."""
    prelabels: Literal["off", "hidden", "shown"] = "hidden"
    """Send the model's guess: not at all, stored but hidden from annotators, or shown to them."""
    prelabel_control: Share = 0.2
    """Share of the tasks that stay blind when prelabels are shown."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the backend."""


class RoundConfig(Options):
    """How rounds run."""

    size: int = Field(default=50, ge=1)
    """Assignments a round."""
    replicas: int = Field(default=1, ge=1, le=20)
    """Votes asked for each pair. One vote on many pairs teaches more than many on one."""
    max_rounds: int = Field(default=20, ge=1)
    """The campaign is finished after so many rounds."""
    close_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """A round closes when this share of its assignments is answered or skipped …"""
    close_count: int | None = Field(default=None, ge=1)
    """… or this many …"""
    close_after_hours: float | None = Field(default=None, gt=0)
    """… or so long after it was published, whatever comes first (with at least one vote)."""
    on_close: Literal["keep", "withdraw"] = "keep"
    """Assignments still open when the round closes: keep them (late votes join the next round) or withdraw them."""
    on_skip: Literal["ask_again", "retire"] = "ask_again"
    """A skipped pair is asked again in a later round, or never."""
    max_asks: int = Field(default=2, ge=1)
    """A skipped pair is retired after being asked so often."""


class HoldoutConfig(Options):
    """The held-out groups that measure and never train."""

    fraction: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Share of the groups on the holdout side, fixed by hash when the data is read."""
    share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.15
    """Share of each batch that is drawn at random from the holdout side."""


class SelectionConfig(Options):
    """Which pairs are asked."""

    strategy: str = "vopt"
    """Strategy of the active arm: see ``pairloop plugins``."""
    goal: Literal["reward_model", "policy", "leaderboard"] = "reward_model"
    """What the votes are for: being right about the pool's pairs, about the best responses of each prompt (for tuning),
    or about the order of the models that wrote the responses. Strategies other than ``vopt`` serve the first only."""
    cold_start: str | None = None
    """Strategy of the active arm while fewer than ``cold_start_votes`` votes train; "typiclust" asks common cases of
    every cluster of prompts first."""
    cold_start_votes: int = Field(default=100, ge=1)
    """From so many training votes on ``strategy`` chooses."""
    random_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    """Share of each batch drawn at random from the training side: control arm and calibration set."""
    compare_arms: bool = True
    """After each training, fit small models on active and on random votes and compare them. Off, nothing falls back."""
    on_no_gain: Literal["fall_back", "tell"] = "fall_back"
    """When the comparison shows that the strategy does not pay: draw at random from then on, or only say so. It does
    not pay when it is proven worse than random (at once), or when a worthwhile saving is excluded for ``patience``
    rounds."""
    worthwhile_saving: Annotated[float, Field(gt=0.0, lt=0.9)] = 1 / 3
    """Share of the votes that active selection should save to be worth while."""
    patience: int = Field(default=3, ge=1)
    """Rounds running without a gain, a worthwhile one excluded, after which random choice takes over."""
    trial_share: Share = 0.1
    """After falling back, the share of each batch that the strategy still chooses, so that it can prove itself."""
    candidates: int = Field(default=1_000_000, ge=100)
    """At most so many candidate pairs are looked at in a round; more are sampled uniformly."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the strategy."""


class QualityConfig(Options):
    """How annotators are checked."""

    overlap_share: Share = 0.0
    """Share of each batch's pairs, drawn at random, that two different annotators are asked about (with
    ``round.replicas`` above 1 all are)."""
    gold_path: str | None = None
    """JSONL file of pairs with a known answer, relative to the configuration file: ``prompt``, ``response_a``,
    ``response_b``, ``correct`` ("a", "b" or "tie") and, if you like, ``reason``."""
    gold_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    """Share of each batch's questions that are gold items. They are paid for; they never train or measure the model."""

    @model_validator(mode="after")
    def _gold_items(self) -> "QualityConfig":
        if self.gold_share > 0 and self.gold_path is None:
            raise ValueError("quality.gold_share needs quality.gold_path")
        return self


class RewardConfig(Options):
    """The reward model."""

    model: str = "tfidf"
    """Reward model: see ``pairloop plugins``."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the reward model."""


class BudgetConfig(Options):
    """What the campaign may spend; enforced before anything is published."""

    labels: int | None = Field(default=None, ge=0)
    """Votes, open assignments included."""
    cost: float | None = Field(default=None, ge=0)
    """Money, open assignments included, in the currency of ``cost_per_vote``."""
    cost_per_vote: float = Field(default=0.0, ge=0)
    """Expected price of a vote."""
    annotator_hours: float | None = Field(default=None, gt=0)
    """Working time of annotators; open assignments count with ``seconds_per_vote``."""
    seconds_per_vote: float = Field(default=30.0, gt=0)
    """Expected working time of a vote, until votes tell."""
    until: datetime | None = None
    """Nothing is published after this moment."""

    @model_validator(mode="after")
    def _price_for_cost(self) -> "BudgetConfig":
        if self.cost is not None and self.cost_per_vote == 0:
            raise ValueError("budget.cost needs budget.cost_per_vote > 0, or nothing would ever be spent")
        return self


class PromptsConfig(Options):
    """When a prompt leaves selection and tuning."""

    exclude_below: float | None = Field(default=2.0, ge=1.0, le=5.0)
    """A prompt whose mean rating (1 to 5) is below this is excluded; 1 keeps all."""
    min_ratings: int = Field(default=1, ge=1)
    """Ratings needed before a prompt can be excluded."""


class PolicyConfig(Options):
    """When and how the policy is tuned."""

    tuner: str | None = None
    """Policy tuner (best_of_n, rloo …); left out, the policy is never tuned."""
    model: str = "scratch"
    """Initial policy π0: a model folder, a hub name, or "scratch" for a small one trained on the pool's responses."""
    start_from: Literal["initial", "previous"] = "initial"
    """Each tuning starts from π0 again, with the better reward model, or goes on from the last tuned policy."""
    start_labels: int | None = Field(default=1000, ge=1)
    """The gate opens at so many votes …"""
    start_accuracy: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """… or when the lower end of the holdout accuracy's interval reaches this."""
    every_labels: int = Field(default=1000, ge=1)
    """Tuned again after so many more votes."""
    prompts: int = Field(default=64, ge=2)
    """Prompts used for tuning, drawn from the training side."""
    probe_prompts: int = Field(default=16, ge=1)
    """Prompts that are not tuned on and judge the result."""
    kl_weight: float = Field(default=0.05, ge=0)
    """β of the KL penalty."""
    kl_budget: float = Field(default=20.0, gt=0)
    """Tuning stops beyond this KL divergence from π0, in nats a sequence."""
    conservatism: float = Field(default=1.0, ge=0)
    """k in the optimised reward: posterior mean − k · standard deviation."""
    samples: int = Field(default=1, ge=0)
    """New responses of the tuned policy for each sampled prompt, against as many of the initial one."""
    sample_prompts: int = Field(default=24, ge=1)
    """Prompts sampled after each tuning."""
    fresh_share: Share = 0.5
    """Share of the next batch's active arm reserved for pairs with new responses."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the tuner."""


class JudgeConfig(Options):
    """A language model that judges beside people, or alone (``backend.kind = "judge"``); never counted as a person."""

    kind: str | None = None
    """Judge (openai, local …): see ``pairloop plugins``. Left out, there is none."""
    name: Name | None = None
    """Its name as an annotator is ``judge:<name>:<digest of model and template>``; the kind when left out."""
    batch: Share = 1.0
    """Share of the pairs of each batch, its holdout left out, that the judge is asked about, too."""
    extra: int = Field(default=0, ge=0)
    """Pairs that the judge is asked about each round beyond the batch, drawn at random from the training side."""
    inconsistent: Literal["tie", "abstain"] = "tie"
    """Every pair is asked in both orders; where the answers differ, count a tie, or nothing."""
    max_weight: float = Field(default=10.0, ge=0)
    """The judge's votes weigh at most this many times what people's weigh, in sum. What they weigh is found by whether
    they help to predict people's votes, and is often less."""
    budget: float | None = Field(default=None, ge=0)
    """Money for the judge, apart from the people's; checked before every call against the most that it can cost."""
    max_questions: int | None = Field(default=None, ge=0)
    """Questions in all; a pair takes two."""
    cache: str = "judge"
    """Folder of the answers, relative to the configuration file; campaigns may share one. Deleting it costs money."""
    options: PluginOptions = Field(default_factory=dict)
    """Options of the judge."""


class ResourcesConfig(Options):
    """What pairloop may use."""

    threads: int = Field(default=1, ge=1)
    """Threads for training; 1 keeps results independent of the machine."""


class Config(Options):
    """A whole campaign; each table has defaults, so an empty file is a valid configuration."""

    campaign: CampaignConfig = CampaignConfig()
    data: DataConfig = DataConfig()
    curation: CurationConfig = CurationConfig()
    backend: BackendConfig = BackendConfig()
    round: RoundConfig = RoundConfig()
    holdout: HoldoutConfig = HoldoutConfig()
    selection: SelectionConfig = SelectionConfig()
    quality: QualityConfig = QualityConfig()
    reward: RewardConfig = RewardConfig()
    judge: JudgeConfig = JudgeConfig()
    budget: BudgetConfig = BudgetConfig()
    prompts: PromptsConfig = PromptsConfig()
    policy: PolicyConfig = PolicyConfig()
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _shares_fit(self) -> "Config":
        if self.holdout.share + self.selection.random_share > 1.0:
            raise ValueError("holdout.share + selection.random_share must not exceed 1")
        if self.holdout.share > 0 and self.holdout.fraction == 0:
            raise ValueError("holdout.share needs holdout.fraction > 0")
        if self.backend.kind == "judge" and self.judge.kind is None:
            raise ValueError('backend.kind = "judge" needs judge.kind')
        return self
