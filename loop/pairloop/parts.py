"""The parts of one campaign, made from its config when they are first needed."""

from functools import cached_property
from pathlib import Path

from pairloop.config import Config, resolve_path
from pairloop.errors import ConfigError
from pairloop.judging.cache import AnswerCache
from pairloop.judging.panel import Panel
from pairloop.kit.atomic import disk_errors
from pairloop.kit.progress import Silent
from pairloop.protocols import (
    Backend,
    BackendContext,
    BatchStrategy,
    GoldScorer,
    HasStandIn,
    JudgeContext,
    ModelContext,
    PairSource,
    PolicyTuner,
    Progress,
    RewardModel,
)
from pairloop.registry import Registry, options_of


class Parts:
    """Backend, source, reward model, strategy and tuner of a campaign.

    Only what the config names is imported, and only when it is used.
    """

    def __init__(
        self,
        config: Config,
        config_file: Path,
        folder: Path,
        campaign_id: str,
        registry: Registry,
        base: Path | None = None,
        progress: Progress | None = None,
        rehearsal: bool = False,
    ) -> None:
        self._config = config
        self._rehearsal = rehearsal
        self._progress = progress or Silent()
        self._base = config_file.parent if base is None else base
        self._file = config_file
        self._folder = folder
        self._id = campaign_id
        self.registry = registry
        self.base = config_file.parent

    @property
    def origin(self) -> str:
        """The configuration file, for messages."""
        return str(self._file)

    def source(self) -> PairSource:
        """The pair source of ``data``."""
        data = self._config.data
        spec = self.registry.spec("source", data.source, "data.source")
        options = options_of(spec, data.options, self.origin, "data.options")
        return spec.factory(options, resolve_path(self._file, data.path))

    @cached_property
    def gold(self) -> GoldScorer | None:
        """The gold scorer of ``backend.gold``, where one is named."""
        name = self._config.backend.gold
        return None if name is None else self.registry.spec("gold", name, "backend.gold").factory()

    @cached_property
    def backend(self) -> Backend:
        """The annotation backend."""
        settings = self._config.backend
        spec = self.registry.spec("backend", settings.kind, "backend.kind")
        options = options_of(spec, settings.options, self.origin, "backend.options")
        folder = self._folder / "backend" / settings.kind
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        context = BackendContext(
            folder, self._id, self._config.campaign.seed, self.gold, self._config.budget.cost_per_vote,
            self.judge if settings.kind == "judge" else None, self._base, self._rehearsal,
        )  # fmt: skip
        return spec.factory(options, context)

    @cached_property
    def judge(self) -> Panel:
        """The judge with its cache and its budget.

        Raises:
            ConfigError: ``judge.kind`` names none.
        """
        settings = self._config.judge
        if settings.kind is None:
            raise ConfigError(f"{self.origin}: judge.kind: none is set", 'Set it, for example: kind = "openai"')
        spec = self.registry.spec("judge", settings.kind, "judge.kind")
        options = options_of(spec, settings.options, self.origin, "judge.options")
        made = spec.factory(options, JudgeContext(self.base, self._config.resources.threads))
        cache = AnswerCache(self.base / Path(settings.cache).expanduser())
        return Panel(
            made, settings.name or settings.kind, cache, self._id,
            budget=settings.budget, max_questions=settings.max_questions,
        )  # fmt: skip

    @cached_property
    def strategy(self) -> BatchStrategy:
        """The strategy of the active arm."""
        return self.strategy_named(self._config.selection.strategy)

    def strategy_named(self, name: str) -> BatchStrategy:
        """Any installed strategy; the config's options go to the config's strategy only."""
        settings = self._config.selection
        spec = self.registry.spec("strategy", name, "selection.strategy")
        mine = settings.options if name == settings.strategy else {}
        options = options_of(spec, mine, self.origin, "selection.options")
        return spec.factory(options)

    def new_reward_model(self) -> RewardModel:
        """An unfitted reward model."""
        settings = self._config.reward
        spec = self.registry.spec("reward", settings.model, "reward.model")
        options = options_of(spec, settings.options, self.origin, "reward.options")
        return spec.factory(options, self._model_context())

    def comparison_model(self) -> RewardModel:
        """An unfitted reward model for comparisons that fit many: the model's stand-in where it names one."""
        model = self.new_reward_model()
        return model.stand_in() if isinstance(model, HasStandIn) else model

    def load_reward_model(self, folder: Path, *, cached: bool = True) -> RewardModel:
        """A fitted reward model from a verified artifact folder; without cache nothing is ever written."""
        spec = self.registry.spec("reward", self._config.reward.model, "reward.model")
        return spec.load(folder, self._model_context() if cached else ModelContext(base=self._base))

    @cached_property
    def tuner(self) -> PolicyTuner:
        """The policy tuner.

        Raises:
            ConfigError: ``policy.tuner`` names none.
        """
        settings = self._config.policy
        spec = self.registry.spec("policy", self.require_tuner(), "policy.tuner")
        return spec.factory(options_of(spec, settings.options, self.origin, "policy.options"))

    def require_tuner(self) -> str:
        """The name of the configured tuner.

        Raises:
            ConfigError: ``policy.tuner`` names none.
        """
        if self._config.policy.tuner is None:
            raise ConfigError(f"{self.origin}: policy.tuner: none is set", 'Set it, for example: tuner = "rloo"')
        return self._config.policy.tuner

    def policy_model(self) -> str:
        """``policy.model`` with a relative folder made absolute."""
        value = self._config.policy.model
        local = resolve_path(self._file, value)
        return str(local) if local is not None and local.is_dir() else value

    def gold_path(self) -> Path | None:
        """The file of gold items."""
        return resolve_path(self._file, self._config.quality.gold_path)

    def check(self) -> None:
        """Resolve every named part and its options without making any.

        Raises:
            ConfigError, PluginError: the first thing that is wrong.
        """
        config, spec = self._config, self.registry.spec
        options_of(spec("source", config.data.source, "data.source"), config.data.options, self.origin, "data.options")
        kind = spec("backend", config.backend.kind, "backend.kind")
        options_of(kind, config.backend.options, self.origin, "backend.options")
        if config.backend.gold is not None:
            spec("gold", config.backend.gold, "backend.gold")
        strategy = spec("strategy", config.selection.strategy, "selection.strategy")
        options_of(strategy, config.selection.options, self.origin, "selection.options")
        if config.selection.cold_start is not None:
            spec("strategy", config.selection.cold_start, "selection.cold_start")
        goal = config.selection.goal
        if goal not in strategy.goals:
            raise ConfigError(
                f"{self.origin}: selection.goal: strategy {strategy.name!r} cannot aim at {goal!r}",
                f"It serves: {', '.join(strategy.goals)}. The strategy vopt serves all goals.",
            )
        if config.judge.kind is not None:
            judge = spec("judge", config.judge.kind, "judge.kind")
            options_of(judge, config.judge.options, self.origin, "judge.options")
        model = spec("reward", config.reward.model, "reward.model")
        options_of(model, config.reward.options, self.origin, "reward.options")
        if config.policy.tuner is not None:
            tuner = spec("policy", config.policy.tuner, "policy.tuner")
            options_of(tuner, config.policy.options, self.origin, "policy.options")

    def close(self) -> None:
        """Close what was opened."""
        if "backend" in self.__dict__:
            self.backend.close()
        if "judge" in self.__dict__:
            self.judge.close()

    def _model_context(self) -> ModelContext:
        cache = self._folder / "cache"
        with disk_errors(cache):
            cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        return ModelContext(cache, self._base, self._progress, self._config.resources.threads)
