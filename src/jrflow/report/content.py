"""Parts of a report: sections with text, figures and tables in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from jrflow.model import MODEL


@dataclass(frozen=True)
class Plate:
    """A figure with its caption; ``name`` is the name of its files."""

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
        Cells of each row; the first cell is the label of the row.
    groups
        Optional row above the header: (label, number of columns).
    left
        Positions of columns with text, which are aligned left; other columns contain numbers.
    prose
        Positions of columns with sentences, which may have several lines.
    folded
        Whether the table is hidden until the reader clicks on its title.
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
    """A note that something is not in the report, with the reason."""

    html: Markup
    kind: str = field(default="missing", init=False)


@dataclass(frozen=True)
class Folded:
    """Preformatted text that is hidden until the reader clicks on its title."""

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
    """Make a note about something that is absent, from a format string; the values are escaped."""
    return Missing(Markup(html).format(**values))


def symbol(name: str) -> Markup:
    """Parameter name as HTML: 'A_e' with a subscript, 'C_1' as a product."""
    if name in MODEL.space.products:
        return Markup("&#8202;").join(symbol(factor) for factor in MODEL.space.factors(name))
    stem, _, index = name.partition("_")
    return Markup("<i>{}</i><sub>{}</sub>").format(stem, index) if index else Markup("<i>{}</i>").format(stem)


def symbols(names: Sequence[str]) -> Markup:
    """Several parameter names, separated by commas."""
    return Markup(", ").join(symbol(name) for name in names)


def html_unit(unit: str) -> str:
    """Unit in HTML: 'uV s' becomes µV s."""
    return unit.replace("uV", "µV")


def count(n: int, noun: str) -> str:
    """A number with its noun: '1 region', '4 regions'."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def number(value: float, digits: int = 2) -> str:
    """Number with fixed decimals and a typographic minus sign; a dash if it is undefined."""
    if value != value:
        return "–"
    rounded = f"{value:.{digits}f}"
    if float(rounded) == 0:
        rounded = rounded.lstrip("-")
    return rounded.replace("-", "−")


def percent(fraction: float) -> str:
    """Fraction as a percentage with two significant digits, or rounded to an integer from 10 % on."""
    if fraction != fraction:
        return "–"
    percentage = 100 * fraction
    digits = f"{percentage:.0f}" if abs(percentage) >= 10 else f"{percentage:.2g}"
    return (
        digits.replace("-", "−") + "\N{NO-BREAK SPACE}%" if percentage < 0 else f"{digits}\N{NO-BREAK SPACE}%"
    )
