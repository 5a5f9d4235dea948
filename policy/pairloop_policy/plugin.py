"""Offers the tuners ``best_of_n`` and ``rloo``; torch is imported when one is made."""

from collections.abc import Sequence

from pairloop.hookspecs import hookimpl
from pairloop.kit.extras import require
from pairloop.protocols import PolicyTuner, TunerSpec
from pairloop_policy.options import BestOfNOptions, RLOOOptions


def _require_torch() -> None:
    for module in ("torch", "transformers", "tokenizers"):
        require(module, "torch", "Sampling from a policy")


def _rloo(options: RLOOOptions) -> PolicyTuner:
    _require_torch()
    from pairloop_policy.rloo import RLOO

    return RLOO(options)


def _best_of_n(options: BestOfNOptions) -> PolicyTuner:
    _require_torch()
    from pairloop_policy.best_of_n import BestOfN

    return BestOfN(options)


@hookimpl
def pairloop_tuners() -> Sequence[TunerSpec]:
    """Two tuners: REINFORCE leave-one-out, and best-of-n sampling."""
    return [
        TunerSpec("rloo", _rloo, RLOOOptions, "REINFORCE leave-one-out with a fixed reference and a KL budget"),
        TunerSpec("best_of_n", _best_of_n, BestOfNOptions, "no training: the best of n samples by the reward model"),
    ]
