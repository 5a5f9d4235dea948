"""Which releases of other packages are installed."""

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Release by name, in the order given; what is not installed is left out."""
    return {name: found for name in packages if (found := _installed(name)) is not None}


@cache  # reading metadata costs a millisecond, and no release changes while a process runs
def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
