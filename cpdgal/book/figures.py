"""How figures of the book look: one style for matplotlib and plotly, and drawings that follow a page from light to dark."""

from io import StringIO
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

INK, INK_ON_DARK = "#1f2328", "#ced6dd"
SIZE = 11  # points; a figure of nine inches stands 660 pixels wide on a phone, where this is 9 pixels
STYLE: dict[Any, Any] = {
    "font.size": SIZE,
    "axes.titlesize": SIZE + 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.6,
    "image.interpolation": "none",  # a map is stored pixel by pixel, and stays sharp at any size
    "legend.frameon": False,
    "savefig.dpi": 200,  # of layers that are pixels in a drawing
    "svg.hashsalt": "cpdgal",  # the same figure is the same file
} | dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
PLOTLY = {"template": "none", "font": {"size": SIZE + 2, "color": "#777777"}, "paper_bgcolor": "rgba(0,0,0,0)"}

# An image takes its scheme from the page around it (CSS Color Adjustment, section 2.4): `color-scheme` of the element.
SCHEMES = f"<style>:root{{--ink:{INK}}}@media (prefers-color-scheme:dark){{:root{{--ink:{INK_ON_DARK}}}}}</style>"


def as_svg(figure: Figure) -> str:
    """A figure as SVG without a ground: its text, axes and black lines turn light on a dark page, its data do not."""
    drawing = StringIO()
    figure.savefig(drawing, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return follow_the_page(drawing.getvalue())


def follow_the_page(svg: str) -> str:
    """The SVG with ink and black as a variable that is light on a dark page."""
    head, root, rest = svg.partition("<svg")
    attributes, end, body = rest.partition(">")
    for colour in (INK, "#000000"):
        body = body.replace(f": {colour}", ": var(--ink)")
    return head + root + attributes + end + SCHEMES + body


def use() -> None:
    """Draw in the book's style from here on, and in a notebook show figures as SVG too, which pages prefer to PNG."""
    plt.rcParams.update(STYLE)
    try:
        from IPython import get_ipython
        from matplotlib_inline import backend_inline  # noqa: F401  # registers its own formats first
    except ImportError:
        return
    if shell := get_ipython():
        plt.get_backend()
        shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, as_svg)
