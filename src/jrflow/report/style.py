"""How figures look: sizes, fonts, colours and labels, the same in all of them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.model.parameters import PARAMETERS, PRODUCTS

#: Width of a double-column figure (183 mm), inches.
WIDTH = 7.2

# Okabe & Ito 2008, told apart with every common colour vision deficiency.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#8C8C8C"
YELLOW, BROWN = "#B8A600", "#7F4F24"

PRESET_COLOURS = {"unit-consistent": BLUE, "as-published": VERMILLION, "jansen-rit-1995": GREEN}
ESTIMATOR_COLOURS = {
    "bilstm": GREEN, "lstm": SKY, "cnn_bilstm": BLUE, "transformer": PURPLE, "mlp": VERMILLION, "npe": YELLOW,
    "refined": BLACK, "paper": BROWN, "extra-trees": ORANGE, "mean": GREY,
}  # fmt: skip
ESTIMATOR_MARKERS = {
    "bilstm": "o", "lstm": "<", "cnn_bilstm": ">", "transformer": "P", "mlp": "D", "npe": "*", "refined": "x",
    "paper": "X", "extra-trees": "s", "mean": "v",
}  # fmt: skip
ESTIMATOR_NAMES = {
    "bilstm": "Bi-LSTM", "lstm": "LSTM", "cnn_bilstm": "CNN-Bi-LSTM", "transformer": "transformer",
    "mlp": "perceptron", "npe": "NPE", "refined": "refined", "paper": "paper's Bi-LSTM",
    "extra-trees": "extra-trees", "mean": "mean predictor",
}  # fmt: skip

#: Maps of one quantity; perceptually uniform and safe for colour vision deficiencies.
MAP = "viridis"
#: Of signed quantities: white at zero, told apart by every common kind of colour vision.
SIGNED_MAP = "RdBu_r"

_RC: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "image.cmap": MAP,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "jrflow",
}


@contextmanager
def journal_style() -> Iterator[None]:
    """Settings for drawing and for saving; matplotlib's own return afterwards."""
    with mpl.rc_context(_RC):
        yield


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write a figure as SVG without dates, and return its text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    return svg


def level_colours(levels: Iterable[str]) -> dict[str, str]:
    """Colour of each noise level, in the order given."""
    return dict(zip(levels, itertools.cycle((PURPLE, SKY, BLUE, GREEN, ORANGE))))


def target_colours(names: Sequence[str]) -> dict[str, Any]:
    """Colour of each of many targets, in the order given."""
    colours = mpl.colormaps["turbo"]
    return {name: colours((i + 0.5) / len(names)) for i, name in enumerate(names)}


def symbol(name: str) -> str:
    """Parameter name as it is set in a figure: 'A_e' becomes mathematics, 'C_1' the product it is."""
    if name in PRODUCTS:
        return f"$C\\,a_{name[-1]}$"
    return f"${name}$"


def symbol_with_unit(name: str) -> str:
    """Symbol and unit, for an axis."""
    unit = "1" if name in PRODUCTS else PARAMETERS[name].unit
    return symbol(name) if unit == "1" else f"{symbol(name)} ({pretty_unit(unit)})"


def pretty_unit(unit: str) -> str:
    """Unit in mathematical notation: 'uV' becomes µV, '1/s' s to the minus one, 'uV^2' µV squared."""
    unit = unit.replace("uV", "µV").replace("^2", "²").replace("^3", "³")
    return f"{unit[2:]}$^{{-1}}$" if unit.startswith("1/") else unit


def panel_letter(ax: Axes, letter: str) -> None:
    """Letter of a panel, at its upper left corner."""
    ax.annotate(
        letter, (0, 1), xycoords="axes fraction", xytext=(-6, 5), textcoords="offset points",
        fontweight="bold", fontsize=10, ha="right", va="bottom",
    )  # fmt: skip


def mark_stimulus(ax: Axes, duration: float) -> None:
    """Shade the pulse, from onset (0 s) to its end."""
    ax.axvspan(0, duration, color=GREY, alpha=0.25, linewidth=0)


def zero_line(ax: Axes) -> None:
    """Thin horizontal line at zero."""
    ax.axhline(0, color=GREY, linewidth=0.6, zorder=0)
