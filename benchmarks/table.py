"""Tables in plain text, and how their numbers are written."""

from __future__ import annotations


class Table:
    """A title, named columns, and named lines of as many cells; ``str`` aligns them."""

    def __init__(self, title: str, *columns: str) -> None:
        self.title = title
        self.lines = [("", *columns)]

    def add(self, name: str, *cells: str) -> None:
        """Append a line."""
        self.lines.append((name, *cells))

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.lines, strict=True)]
        text = [f"\n{self.title}"]
        for name, *cells in self.lines:
            aligned = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
            text.append("  ".join([f"  {name:{widths[0]}}", *aligned]))
        return "\n".join(text)


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.2e}"


def times(ratio: float) -> str:
    """A ratio: two digits, or whole."""
    return f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.2g} x"
