"""The SPI: what a plugin implements, and what it is given.

Everything here is structural (``typing.Protocol``); a plugin inherits nothing. `pairloop.testing` ships contract
tests for each protocol. Import from here; the modules below are one topic each.
"""

from pairloop.protocols.aggregation import Aggregated, Aggregator, Labels
from pairloop.protocols.backends import (
    Backend,
    BackendContext,
    Capabilities,
    Check,
    Checkable,
    Examinable,
    Prepared,
    Preparing,
    Published,
    ReadsExports,
    TakesPrelabels,
    TellsWhere,
    TellsWrites,
)
from pairloop.protocols.judges import (
    BothOrders,
    Compared,
    Judge,
    JudgeAnswer,
    JudgeContext,
    JudgePanel,
    JudgeQuestion,
    JudgeSpent,
)
from pairloop.protocols.models import (
    BoolArray,
    FitReport,
    HasStandIn,
    ModelContext,
    RewardModel,
    Scorer,
    TrainingData,
)
from pairloop.protocols.policy import Generated, PolicyJob, PolicyPrompt, PolicyResult, PolicyTuner
from pairloop.protocols.progress import Progress
from pairloop.protocols.selection import Acquisition, BatchStrategy, Goal, Selection, SelectionContext
from pairloop.protocols.sources import GoldScorer, PairSource, SuggestsOptions
from pairloop.protocols.specs import (
    AggregatorSpec,
    BackendSpec,
    GoldSpec,
    JudgeSpec,
    RewardModelSpec,
    SourceSpec,
    Spec,
    StrategySpec,
    TunerSpec,
)

__all__ = [
    "Acquisition",
    "Aggregated",
    "Aggregator",
    "AggregatorSpec",
    "Backend",
    "BackendContext",
    "BackendSpec",
    "BatchStrategy",
    "BoolArray",
    "BothOrders",
    "Capabilities",
    "Check",
    "Checkable",
    "Compared",
    "Examinable",
    "FitReport",
    "Generated",
    "Goal",
    "GoldScorer",
    "GoldSpec",
    "HasStandIn",
    "Judge",
    "JudgeAnswer",
    "JudgeContext",
    "JudgePanel",
    "JudgeQuestion",
    "JudgeSpec",
    "JudgeSpent",
    "Labels",
    "ModelContext",
    "PairSource",
    "PolicyJob",
    "PolicyPrompt",
    "PolicyResult",
    "PolicyTuner",
    "Prepared",
    "Preparing",
    "Progress",
    "Published",
    "ReadsExports",
    "RewardModel",
    "RewardModelSpec",
    "Scorer",
    "Selection",
    "SelectionContext",
    "SourceSpec",
    "Spec",
    "StrategySpec",
    "SuggestsOptions",
    "TakesPrelabels",
    "TellsWhere",
    "TellsWrites",
    "TrainingData",
    "TunerSpec",
]
