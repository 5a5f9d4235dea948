"""From a matplotlib figure to an SVG that lives inside a page: its colours follow the page, its ids clash with none.

Figures are drawn in placeholder colours (`INK`, `GRID`, `series`); here they become CSS variables, so that one SVG
serves light, dark and paper. Metadata, the XML prolog and namespaces (the only addresses in the file) are dropped.
"""

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#010101", "#020202", "#030303", "#040404"
_SERIES = tuple(f"#0a0a0{i}" for i in range(1, 6))
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"} | {
    colour: f"--s{i}" for i, colour in enumerate(_SERIES, start=1)
}
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "path.simplify": True,
}


def series(number: int) -> str:
    """Placeholder colour of the first, second … series."""
    return _SERIES[number % len(_SERIES)]


def style() -> dict[str, object]:
    """Settings for `matplotlib.style.context` while a figure is built and written."""
    return dict(_STYLE)


def to_svg(figure: "Figure", name: str, label: str) -> Markup:
    """The figure as an ``<svg>`` element; ``name`` prefixes its ids, ``label`` is what a screen reader says.

    Must be called inside ``matplotlib.style.context(style())``.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    FigureCanvasSVG(figure)
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):  # ids are random without it
        figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    root = ET.fromstring(out.getvalue())  # noqa: S314 - our own output
    for metadata in root.findall(f"{_SVG}metadata"):
        root.remove(metadata)
    for defs in root.iter(f"{_SVG}defs"):
        for sheet in defs.findall(f"{_SVG}style"):
            defs.remove(sheet)
    _rename_ids(root, name)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _restyle(element)
    view = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": "\u0000"})
    text = ET.tostring(root, encoding="unicode").replace("\u0000", str(escape(label)))
    return Markup(text)  # noqa: S704 - written by matplotlib and escaped by ElementTree


def _rename_ids(root: ET.Element, name: str) -> None:
    """Keep only ids that something refers to, and make them unique in the page."""
    wanted: set[str] = set()
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == f"{_XLINK}href":
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}")
                wanted.add(value[1:])
            elif "url(#" in value:
                wanted.update(re.findall(r"url\(#([^)]+)\)", value))
                element.set(key, re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", value))
    for element in root.iter():
        found = element.attrib.pop("id", None)
        if found in wanted:
            element.set("id", f"{name}-{found}")


def _restyle(element: ET.Element) -> None:
    """Placeholders become variables; colour has to be a style, since attributes know no ``var()``."""
    for key in ("fill", "stroke"):
        value = element.attrib.get(key)
        if value in _VARIABLES:
            del element.attrib[key]
            element.set("style", f"{key}: {value}; {element.get('style', '')}".strip("; "))
    declared = element.get("style")
    if declared is None:
        return
    for colour, variable in _VARIABLES.items():
        declared = declared.replace(colour, f"var({variable})")
    declared = re.sub(r"font:\s*([^;]*?)\s*'[^;]*", r"font: \1 var(--font)", declared)
    element.set("style", declared)
