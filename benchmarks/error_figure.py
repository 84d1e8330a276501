"""The figure of ``benchmarks/accuracy.py``: error against cost, a panel for each problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

if TYPE_CHECKING:
    from accuracy import Series

# A tool is a colour (Okabe & Ito's, told apart by colour-blind readers) and a style of line.
_TOOLS: dict[str, tuple[str, str, Any]] = {
    "jrflow": ("jrflow, float64", "#0072B2", "-"),
    "jrflow float32": ("jrflow, float32", "#0072B2", (0, (1, 1))),
    "jax": ("JAX scan", "#E69F00", "-"),
    "tvboptim": ("tvboptim", "#D55E00", (0, (3, 2))),
    "tvb": ("TVB", "#009E73", (3, (3, 3))),
    "vbi-numpy": ("VBI NumPy", "#CC79A7", "-"),
    "vbi-cpp": ("VBI C++", "#CC79A7", (0, (4, 1))),
    "vbi-numba": ("VBI numba", "#CC79A7", (0, (1, 1))),
    "published": ("paper's code", "#000000", "-"),
}
#: A scheme is a marker, whoever computes it.
_SCHEMES = {
    "euler": ("Euler", "o"),
    "heun": ("Heun", "^"),
    "rk4": ("Runge-Kutta 4", "s"),
    "strang": ("Strang", "X"),
    "exp-ab2": ("exp. Adams-Bashforth 2", "v"),
    "exp-ab3": ("exp. Adams-Bashforth 3", "D"),
    "exp-ab4": ("exp. Adams-Bashforth 4, the default", "*"),
}
_TITLES = {
    "limit cycle": "Limit cycle, constant input of 180 s$^{-1}$, 2 s",
    "evoked response": "Response to one pulse of 50 ms",
}
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "svg.fonttype": "path",  # the same everywhere
    "svg.hashsalt": "jrflow",  # the same file from the same numbers
}
#: Errors below are left out: nobody asks for them.
_SMALLEST = 1e-9


def draw(made: Sequence[Series], problems: Sequence[str], target: float, path: Path) -> None:
    """Draw a panel for each problem; the kind of the file is that of its name."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.1, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(problems), sharex=True, sharey=True)
        for letter, problem, axes in zip("ab", problems, panels, strict=False):
            _panel(axes, made, problem, target)
            axes.set_xlabel("CPU time per simulated second (s)")
            axes.set_title(f"$\\bf{{{letter}}}$   {_TITLES[problem]}", loc="left", fontsize=8.5)
        panels[0].set_ylabel("largest error / range of the response")
        figure.legend(handles=_legend(made), loc="outside lower center", ncols=4, frameon=False, fontsize=7.5)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=200)


def _panel(axes: Axes, made: Sequence[Series], problem: str, target: float) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(_SMALLEST, 2)
    axes.set_xlim(1e-6, 3e-1)
    axes.axhline(target, color="0.8", linewidth=0.8, zorder=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=20))
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.grid(which="major", color="0.93", linewidth=0.5, zorder=-1)
    axes.spines[["top", "right"]].set_visible(False)
    for series in made:
        errors = np.array(series.errors.get(problem, []))
        axes.plot(
            series.costs(len(errors)), np.where(errors < _SMALLEST, np.nan, errors), **_look(series.name)
        )


def _tool(name: str) -> str:
    return "jrflow float32" if name.startswith("jrflow") and name.endswith("float32") else name.split()[0]


def _look(name: str) -> dict[str, Any]:
    """Colour, line and marker of a tool with a scheme; jrflow's default stands out."""
    _, colour, style = _TOOLS[_tool(name)]
    scheme = name.split()[1]
    default = name == "jrflow exp-ab4 float64"
    return {
        "color": colour,
        "linestyle": style,
        "linewidth": 1.8 if default else 0.9,
        "marker": _SCHEMES[scheme][1],
        "markersize": 7 if scheme == "exp-ab4" else 4,
        "markeredgecolor": "white",
        "markeredgewidth": 0.4,
        # Dashes go on top of the line that they share a place with.
        "zorder": 5 if default else 4 if name.startswith("jrflow") else 2 if style == "-" else 3,
    }


def _legend(made: Sequence[Series]) -> list[Line2D]:
    """Tools as lines, schemes as markers; those alone that are there."""
    tools = {_tool(series.name) for series in made}
    schemes = {series.name.split()[1] for series in made}
    lines = [
        Line2D([], [], color=colour, linestyle=style, linewidth=1.5, label=label)
        for tool, (label, colour, style) in _TOOLS.items()
        if tool in tools
    ]
    markers = [
        Line2D(
            [],
            [],
            color="0.35",
            linestyle="",
            marker=marker,
            markersize=4.5 + 2.5 * (marker == "*"),
            label=label,
        )
        for scheme, (label, marker) in _SCHEMES.items()
        if scheme in schemes
    ]
    # Two columns of each.
    rows = max(-(-len(lines) // 2), -(-len(markers) // 2))
    blank = Line2D([], [], linestyle="", label=" ")
    return [*lines, *[blank] * (2 * rows - len(lines)), *markers, *[blank] * (2 * rows - len(markers))]
