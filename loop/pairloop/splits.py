"""Which side of the split a group is on: by hash, fixed for ever when the group is first seen.

The first import ranks its groups by hash and takes the lowest ones as holdout, so that a data set of a few large
groups also gets the wanted share; the hash of the last one becomes the threshold for groups that come later.
"""

from collections.abc import Collection

from pairloop.kit.seeds import unit_interval
from pairloop.records import Split


def position(seed: int, group: str) -> float:
    """Where a group stands in [0, 1); the same in every run of this campaign seed."""
    return unit_interval(seed, "split", group)


def threshold(seed: int, groups: Collection[str], fraction: float) -> float:
    """The holdout threshold for a first import: groups at or below it are held out.

    At least one group lands on each side when there are two or more and ``fraction`` > 0.
    """
    if fraction <= 0 or len(groups) < 2:
        return -1.0
    positions = sorted(position(seed, group) for group in groups)
    wanted = min(max(round(fraction * len(positions)), 1), len(positions) - 1)
    return positions[wanted - 1]


def side(seed: int, group: str, limit: float) -> Split:
    """The side of a group under the stored threshold."""
    return Split.HOLDOUT if position(seed, group) <= limit else Split.TRAIN
