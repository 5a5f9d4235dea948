"""The report: one self-contained HTML file about a campaign.

Importing this module is cheap; plots and templates are loaded when a report is written.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pairloop.config import Config
    from pairloop.store import Store

__all__ = ["write_report"]


def write_report(
    store: "Store", config: "Config", path: Path, remeasured: "Mapping[int, Mapping[str, Any]] | None" = None
) -> None:
    """Write the report of a campaign to ``path``; a reader sees the old or the new file, whole.

    ``remeasured``: holdout measures by model id on the votes of today (`pairloop.remeasure`); without it the learning
    curve shows what each fit was measured on at its time. ``store`` is only read. The same store and config give the
    same bytes, but for the date in the header. The file names annotators and quotes prompts and responses, so it is
    readable by its owner only.

    Raises:
        StorageFull: the file cannot be written.
    """
    from pairloop.kit.atomic import write_atomic
    from pairloop.report.facts import gather
    from pairloop.report.page import render

    write_atomic(path, render(gather(store, config, remeasured)))
