"""Learning curves of a benchmark as one SVG file."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

PANELS = (("accuracy", "accuracy"), ("log_loss", "log-loss (nats)"))
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def learning_curves(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy and log-loss against votes, a row a block, with 95 % intervals; colour-blind-safe, same bytes always."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours = mpl.color_sequences["petroff10"] if "petroff10" in mpl.color_sequences else mpl.color_sequences["tab10"]
    with mpl.rc_context({"svg.hashsalt": "pairloop", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.2 * len(blocks)), layout="constrained")
        axes = figure.subplots(len(blocks), len(PANELS), squeeze=False)
        for row, block in zip(axes, blocks, strict=True):
            for axis, (metric, label) in zip(row, PANELS, strict=True):
                for i, arm in enumerate(block["arms"]):
                    _curve(axis, arm, metric, colours[i % len(colours)], MARKS[i % len(MARKS)])
                axis.set_xlabel("votes")
                axis.set_ylabel(label)
                axis.spines[["top", "right"]].set_visible(False)
            row[0].set_title(f"{block['data']} · {block['annotators']} · {block['model']}", loc="left")
            row[0].legend(frameon=False)
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _curve(axis: Any, arm: Mapping[str, Any], metric: str, colour: Any, mark: str) -> None:
    items = arm["curves"][metric]
    axis.plot(arm["votes"], [i["value"] for i in items], color=colour, marker=mark, markersize=4, label=arm["name"])
    low = [i["value"] if i["low"] is None else i["low"] for i in items]
    high = [i["value"] if i["high"] is None else i["high"] for i in items]
    axis.fill_between(arm["votes"], low, high, color=colour, alpha=0.15, linewidth=0)
