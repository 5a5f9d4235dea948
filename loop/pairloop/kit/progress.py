"""A progress that says nothing."""


class Silent:
    """Implements `pairloop.protocols.Progress` by doing nothing."""

    def start(self, label: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""
