"""The parts a report is made of: sections that hold text, figures and tables in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from jrflow.model import MODEL


@dataclass(frozen=True)
class Plate:
    """A figure with its caption; ``name`` is that of its files."""

    name: str
    figure: Figure
    caption: Markup
    kind: str = field(default="figure", init=False)


@dataclass(frozen=True)
class Table:
    """A table with its caption.

    Attributes
    ----------
    header
        One cell for each column.
    rows
        Cells; the first of each row is its label.
    groups
        Optional row above the header: (label, number of columns).
    left
        Columns of text, aligned left; the others hold numbers.
    prose
        Columns of sentences, which may break into lines.
    folded
        Whether it is unfolded at a click.
    """

    caption: Markup
    header: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    groups: Sequence[tuple[Any, int]] = ()
    left: Sequence[int] = (0,)
    prose: Sequence[int] = ()
    folded: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    html: Markup
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Missing:
    """Says that something is not in the report, and why."""

    html: Markup
    kind: str = field(default="missing", init=False)


@dataclass(frozen=True)
class Folded:
    """Preformatted text that is unfolded at a click."""

    title: str
    text: str
    kind: str = field(default="folded", init=False)


Block = Plate | Table | Text | Missing | Folded


@dataclass(frozen=True)
class Section:
    """A numbered section of the report."""

    anchor: str
    title: str
    blocks: Sequence[Block]


def text(html: str, **values: Any) -> Text:
    """Make a paragraph from a format string; the values are escaped."""
    return Text(Markup(html).format(**values))


def missing(html: str, **values: Any) -> Missing:
    """Make a note about something absent from a format string; the values are escaped."""
    return Missing(Markup(html).format(**values))


def symbol(name: str) -> Markup:
    """Parameter name as HTML: 'A_e' with a subscript, 'C_1' as the product it is."""
    if name in MODEL.space.products:
        return Markup("&#8202;").join(symbol(factor) for factor in MODEL.space.factors(name))
    stem, _, index = name.partition("_")
    return Markup("<i>{}</i><sub>{}</sub>").format(stem, index) if index else Markup("<i>{}</i>").format(stem)


def symbols(names: Sequence[str]) -> Markup:
    """Several parameter names, separated by commas."""
    return Markup(", ").join(symbol(name) for name in names)


def html_unit(unit: str) -> str:
    """Unit as it is printed: 'uV s' becomes µV s."""
    return unit.replace("uV", "µV")


def count(n: int, noun: str) -> str:
    """A number with its noun: '1 region', '4 regions'."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def number(value: float, digits: int = 2) -> str:
    """Fixed number of decimals with a true minus sign; a dash for what is undefined."""
    if value != value:
        return "–"
    rounded = f"{value:.{digits}f}"
    if float(rounded) == 0:
        rounded = rounded.lstrip("-")
    return rounded.replace("-", "−")


def percent(fraction: float) -> str:
    """Fraction as a percentage with two significant digits, or to the unit where it has more."""
    if fraction != fraction:
        return "–"
    percentage = 100 * fraction
    digits = f"{percentage:.0f}" if abs(percentage) >= 10 else f"{percentage:.2g}"
    return (
        digits.replace("-", "−") + "\N{NO-BREAK SPACE}%" if percentage < 0 else f"{digits}\N{NO-BREAK SPACE}%"
    )
