"""Optional dependencies: an absent one is an error that names the extra which brings it."""

from importlib import import_module
from types import ModuleType

from pairloop.errors import MissingExtra


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{purpose} needs the package '{module}', which is not installed.",
            f"Install it with: pip install 'pairloop[{extra}]'",
        ) from error
