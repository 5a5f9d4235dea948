"""Which number format pays on this processor."""

from typing import Literal

from pairloop.kit.extras import require

DtypeName = Literal["float32", "bfloat16"]
_NATIVE = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16", "sve_bf16")


def native_bfloat16() -> bool:
    """True where the processor multiplies bfloat16 in hardware; elsewhere it is emulated and slower than float32.

    The processor is asked for its features, not timed: a timing that came out otherwise in the next process would
    change the bits of a campaign's features.
    """
    torch = require("torch", "torch", "A transformers model as reward backbone")
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(bool(features.get(name)) for name in _NATIVE)


def chosen_dtype(wanted: Literal["auto", "float32", "bfloat16"]) -> DtypeName:
    """The format that "auto" stands for here, or the one that was asked for."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if native_bfloat16() else "float32"
