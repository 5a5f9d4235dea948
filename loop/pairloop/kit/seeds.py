"""Seeds are derived, never stored: the same campaign, round and purpose always give the same numbers."""

import hashlib

import numpy as np

from pairloop.kit.canonical import digest


def derive_seed(seed: int, *path: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. ``derive_seed(config.seed, round, "select")``."""
    return int.from_bytes(hashlib.sha256(digest([seed, *path]).encode()).digest()[:8], "big") >> 1


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """A numpy generator seeded by `derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *path))


def unit_interval(seed: int, *path: str | int) -> float:
    """One number in [0, 1) for one purpose."""
    return (derive_seed(seed, *path) >> 10) / float(1 << 53)
