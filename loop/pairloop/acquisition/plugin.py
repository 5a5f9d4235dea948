"""Entry point of the built-in strategies; ``docs/strategies.md`` compares them."""

from collections.abc import Sequence

from pairloop.acquisition.arm import ArmOptions, ArmStrategy
from pairloop.acquisition.badge import BadgeOptions, BadgeStrategy
from pairloop.acquisition.balpm import BalpmOptions, BalpmStrategy
from pairloop.acquisition.batch import from_acquisition
from pairloop.acquisition.coreset import CoresetStrategy
from pairloop.acquisition.epig import EpigOptions, EpigStrategy
from pairloop.acquisition.functions import bald, entropy
from pairloop.acquisition.logdet import LogdetOptions, LogdetStrategy
from pairloop.acquisition.typiclust import TypiclustOptions, TypiclustStrategy
from pairloop.acquisition.uncertainty import PowerBaldOptions, PowerBaldStrategy, ensemble_variance, margin
from pairloop.acquisition.uniform import RandomStrategy
from pairloop.acquisition.vopt import VoptOptions, VoptStrategy
from pairloop.hookspecs import hookimpl
from pairloop.protocols import StrategySpec


@hookimpl
def pairloop_strategies() -> Sequence[StrategySpec]:
    """The strategies that come with pairloop."""
    return [
        StrategySpec("random", lambda _: RandomStrategy(), summary="uniform over the candidates, known propensities"),
        StrategySpec("entropy", lambda _: from_acquisition(entropy), summary="the votes that are hardest to predict"),
        StrategySpec("bald", lambda _: from_acquisition(bald), summary="most information about the reward, singly"),
        StrategySpec(
            "logdet",
            lambda options: LogdetStrategy(options or LogdetOptions()),
            LogdetOptions,
            "most information about the reward as a batch (D-optimal)",
        ),
        StrategySpec(
            "vopt",
            lambda options: VoptStrategy(options or VoptOptions()),
            VoptOptions,
            "least variance of the margins that matter for the goal (V-optimal); the default",
            goals=("reward_model", "policy", "leaderboard"),
        ),
        StrategySpec("margin", lambda _: from_acquisition(margin), summary="predicted closest to even"),
        StrategySpec(
            "ensemble_variance",
            lambda _: from_acquisition(ensemble_variance),
            summary="where members of an ensemble would disagree most about who wins",
        ),
        StrategySpec(
            "powerbald",
            lambda options: PowerBaldStrategy(options or PowerBaldOptions()),
            PowerBaldOptions,
            "a random batch with odds BALD to a power",
        ),
        StrategySpec("coreset", lambda _: CoresetStrategy(), summary="no pair far from a picked one (k-center greedy)"),
        StrategySpec(
            "badge",
            lambda options: BadgeStrategy(options or BadgeOptions()),
            BadgeOptions,
            "large gradients that point different ways (k-means++)",
        ),
        StrategySpec(
            "typiclust",
            lambda options: TypiclustStrategy(options or TypiclustOptions()),
            TypiclustOptions,
            "typical prompts of many clusters, for the first rounds",
        ),
        StrategySpec(
            "arm",
            lambda options: ArmStrategy(options or ArmOptions()),
            ArmOptions,
            "PA-D-opt (ARM), as published or corrected to design the batch",
        ),
        StrategySpec(
            "epig",
            lambda options: EpigStrategy(options or EpigOptions()),
            EpigOptions,
            "most information about the votes on other pairs",
        ),
        StrategySpec(
            "balpm",
            lambda options: BalpmStrategy(options or BalpmOptions()),
            BalpmOptions,
            "BALD plus the entropy of prompts (BAL-PM), as published or corrected",
        ),
    ]
