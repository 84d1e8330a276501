"""Style of all figures: sizes, fonts, colours and labels."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jrflow.model import MODEL

#: Width of a double-column figure (183 mm), inches.
WIDTH = 7.2

# Okabe & Ito 2008, told apart with every common colour vision deficiency.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#8C8C8C"
YELLOW, BROWN = "#B8A600", "#7F4F24"

#: Colours that can be told apart in one figure, in addition to black and grey.
DISTINCT = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BROWN, YELLOW)

#: Colour and marker of each preset of the model.
PRESET_COLOURS = dict(zip(MODEL.presets, itertools.cycle(DISTINCT), strict=False))
PRESET_MARKERS = dict(zip(MODEL.presets, itertools.cycle(("o", "s", "D", "^", "v")), strict=False))
#: Colour, marker and name of the estimators that exist under a fixed name.
_KNOWN = {
    "bilstm": (GREEN, "o", "Bi-LSTM"),
    "lstm": (SKY, "<", "LSTM"),
    "cnn_bilstm": (BLUE, ">", "CNN-Bi-LSTM"),
    "transformer": (PURPLE, "P", "transformer"),
    "mlp": (VERMILLION, "D", "perceptron"),
    "npe": (YELLOW, "*", "NPE"),
    "paper": (BROWN, "X", "paper's Bi-LSTM"),
    "extra-trees": (ORANGE, "s", "extra-trees"),
    "mean": (GREY, "v", "mean predictor"),
}
#: Markers of estimators with other names, in the order in which they are assigned.
_MARKERS = ("h", "^", "d", "p", "H", "8", "<", ">", "P", "D", "o", "s", "*", "X", "v")
#: Ending of estimators whose estimates were refined by the likelihood.
_REFINED = "+exact"


@dataclass(frozen=True)
class EstimatorStyle:
    """Colour and marker of one estimator's curve; no two of a run have the same pair."""

    colour: str
    marker: str


def estimator_styles(names: Iterable[str]) -> dict[str, EstimatorStyle]:
    """Styles of the estimators of a run.

    Known names always look the same. Others (``bilstm-tuned``, ``mlp+exact``) take colours that nobody in the
    run has, in the order given, and share colours, with other markers, only when all are taken.
    """
    names = list(dict.fromkeys(names))
    found = {name: EstimatorStyle(*_KNOWN[name][:2]) for name in names if name in _KNOWN}
    for name in names:
        if name in found:
            continue
        used = Counter(style.colour for style in found.values())
        colour = min(DISTINCT, key=lambda one: used[one])  # the first of the least used
        markers = {style.marker for style in found.values()}
        # Beyond fifteen markers a pair of colour and marker is still new.
        marker = next((m for m in _MARKERS if m not in markers), "")
        marker = marker or next(m for m in _MARKERS if EstimatorStyle(colour, m) not in found.values())
        found[name] = EstimatorStyle(colour, marker)
    return {name: found[name] for name in names}


def estimator_name(name: str) -> str:
    """Name of an estimator in text: 'Bi-LSTM'; 'perceptron + likelihood' if refined by the likelihood."""
    stem = name.removesuffix(_REFINED)
    called = _KNOWN[stem][2] if stem in _KNOWN else stem
    return f"{called} + likelihood" if name.endswith(_REFINED) else called


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


def symbol(name: str) -> str:
    """Parameter name as it is set in a figure: 'A_e' becomes mathematics, 'C_1' the product it is."""
    return "$" + "\\,".join(map(_mathematics, MODEL.space.factors(name))) + "$"


def _mathematics(name: str) -> str:
    """A name with all that follows its first underscore as a subscript."""
    stem, _, index = name.partition("_")
    return f"{stem}_{{{index}}}" if len(index) > 1 else name


def symbol_with_unit(name: str) -> str:
    """Symbol and unit, for an axis."""
    unit = MODEL.space.unit(name)
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
