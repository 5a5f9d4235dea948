"""What every step is given, and what it answers."""

from dataclasses import dataclass

from pairloop.config import Config
from pairloop.kit.seeds import derive_seed
from pairloop.parts import Parts
from pairloop.pool import Pool, load_pool
from pairloop.protocols import Progress, RewardModel
from pairloop.states import RoundState
from pairloop.store import Store
from pairloop.store.models import ModelRow


@dataclass(frozen=True, slots=True)
class Advanced:
    """The round moved on."""

    round: int
    state: RoundState
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The backend has not answered enough; ask again later."""

    round: int
    answered: int
    wanted: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do."""

    reason: str


Outcome = Advanced | Waiting | Finished


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step works with."""

    store: Store
    config: Config
    parts: Parts
    campaign_id: str
    progress: Progress

    def seed(self, *path: str | int) -> int:
        """A seed for one purpose, derived from the campaign's."""
        return derive_seed(self.config.campaign.seed, *path)

    def pool(self) -> Pool:
        """The pool as it stands now."""
        return load_pool(self.store)

    def current_model(self) -> tuple[ModelRow, RewardModel] | None:
        """The current reward model, verified and loaded; None before the first accepted fit."""
        row = self.store.models.current("reward")
        if row is None or row.artifact is None:
            return None
        return row, self.parts.load_reward_model(self.store.artifacts.path(row.artifact))
