"""Pools of responses with a hidden reward, and one vote for every pair: what `selection_quality` selects from."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

DIMENSIONS, PROMPTS, RESPONSES, ANNOTATORS = 32, 500, 4, 20


@dataclass(frozen=True)
class Setting:
    flips: float = 0.0  # chance that a vote says the opposite
    tails: float = 0.0  # share of responses whose features, but not rewards, lie three to ten times as far out
    copies: float = 0.0  # share of prompts that nearly repeat one of five common prompts
    bend: float = 0.0  # weight of a part of the reward that no linear head can learn
    scale: float = 2.0  # standard deviation of a typical margin
    coins: float = 0.0  # share of annotators who flip a coin
    stuck: float = 0.0  # share of annotators who always name the left response

    @property
    def noise(self) -> float:
        """Chance that a vote of the crowd says the opposite of an honest Bradley–Terry vote."""
        careless = self.coins + self.stuck
        return (1.0 - careless) * self.flips + careless / 2.0


SETTINGS = {
    "exact": Setting(scale=40.0),  # the better response always wins
    "clean": Setting(),  # Bradley–Terry votes, right in 75 %
    "flips 10 %": Setting(flips=0.1),
    "flips 25 %": Setting(flips=0.25),
    "close calls": Setting(scale=0.7),
    "outliers": Setting(flips=0.1, tails=0.1),
    "near-duplicates": Setting(flips=0.1, copies=0.7),
    "misspecified": Setting(flips=0.1, bend=1.0),
    "spammers": Setting(coins=0.2, stuck=0.1),
}


@dataclass(frozen=True)
class Pool:
    features: np.ndarray  # (R, D); two responses to one prompt are at mean squared distance about 1
    reward: np.ndarray  # (R,)
    pairs: np.ndarray  # (N, 2) as displayed
    prompt: np.ndarray  # (R,)
    outcome: np.ndarray  # (N,) 0 where the left response was named, 1 where the right one was
    annotator: np.ndarray  # (N,)


class World:
    """The hidden truth of one seed, from which pools are drawn."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.generator = setting, np.random.default_rng([seed, 77])
        spectrum = 1.0 / np.sqrt(1.0 + np.arange(DIMENSIONS))
        self.spectrum = spectrum / np.sqrt(2.0 * np.sum(spectrum**2))
        self.common = self.generator.standard_normal((5, RESPONSES, DIMENSIONS))
        self.weights = self.generator.standard_normal(DIMENSIONS)
        self.bends = self.generator.standard_normal((DIMENSIONS, 8))

    def pool(self, prompts: int) -> Pool:
        x = self._features(prompts)
        reward = self._reward(x)
        far = self.generator.random(len(x)) < self.setting.tails
        x[far] *= self.generator.uniform(3, 10, (far.sum(), 1))
        pairs = self._displayed(prompts)
        annotator, outcome = self._votes(reward[pairs[:, 0]] - reward[pairs[:, 1]])
        return Pool(x, reward, pairs, np.repeat(np.arange(prompts), RESPONSES), outcome, annotator)

    def _features(self, prompts: int) -> np.ndarray:
        x = self.generator.standard_normal((prompts, RESPONSES, DIMENSIONS))
        repeated = self.generator.random(prompts) < self.setting.copies
        x[repeated] = self.common[self.generator.integers(5, size=repeated.sum())] + 0.1 * x[repeated]
        return x.reshape(-1, DIMENSIONS) * self.spectrum

    def _reward(self, x: np.ndarray) -> np.ndarray:
        wide = x / np.linalg.norm(self.spectrum)
        linear = x @ self.weights / np.linalg.norm(self.spectrum * self.weights)
        bent = self.setting.bend * np.tanh(4.0 * wide @ self.bends).sum(axis=1) / 2.0
        return self.setting.scale * (linear + bent) / np.sqrt(2.0)

    def _displayed(self, prompts: int) -> np.ndarray:
        first, second = np.triu_indices(RESPONSES, 1)
        rows = RESPONSES * np.arange(prompts)[:, None, None] + np.stack([first, second], axis=1)
        pairs = rows.reshape(-1, 2)
        swapped = self.generator.random(len(pairs)) < 0.5
        return np.where(swapped[:, None], pairs[:, ::-1], pairs)

    def _votes(self, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        generator, setting = self.generator, self.setting
        annotator = generator.integers(ANNOTATORS, size=len(margin))
        coins, careless = (round(share * ANNOTATORS) for share in (setting.coins, setting.coins + setting.stuck))
        right = generator.random(len(margin)) >= expit(margin)
        right ^= generator.random(len(margin)) < setting.flips
        right = np.where(annotator < coins, generator.random(len(margin)) < 0.5, right)
        right &= ~((coins <= annotator) & (annotator < careless))
        return annotator, right.astype(np.int8)
