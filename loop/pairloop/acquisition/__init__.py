"""Selection: posterior → acquisition → batch, each ignorant of the others.

`functions` values single votes, `batch` turns such scalar values into a batch under a per-prompt cap and costs,
`uniform` draws at random with known propensities, and `logdet` (the default) designs the whole batch at once.
"""

from pairloop.acquisition.batch import ScalarStrategy, from_acquisition
from pairloop.acquisition.functions import bald, entropy
from pairloop.acquisition.logdet import LogdetOptions, LogdetStrategy
from pairloop.acquisition.uniform import RandomStrategy

__all__ = [
    "LogdetOptions",
    "LogdetStrategy",
    "RandomStrategy",
    "ScalarStrategy",
    "bald",
    "entropy",
    "from_acquisition",
]
