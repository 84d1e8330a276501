"""Figures as a journal would have them: legible letters, named axes, safe colours, no drawing state left."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from jrflow.report import style
from jrflow.report.content import Plate, Section, number, percent, symbol
from jrflow.report.figures_evoked import EvokedView
from jrflow.report.section_model import _own_timing


@pytest.fixture(scope="module")
def plates(sections: list[Section]) -> dict[str, Plate]:
    blocks = [block for section in sections for block in section.blocks]
    return {block.name: block for block in blocks if isinstance(block, Plate)}


def letters(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_letters_are_legible(plates: dict[str, Plate]) -> None:
    small = {
        (name, t.get_text()) for name, p in plates.items() for t in letters(p.figure) if t.get_fontsize() < 8
    }
    assert not small


def test_figures_fit_two_columns_of_a_journal(plates: dict[str, Plate]) -> None:
    for name, plate in plates.items():
        width, height = plate.figure.get_size_inches()
        assert width == pytest.approx(7.2), name
        assert height < 9.5, name


def test_every_figure_says_what_its_axes_are(plates: dict[str, Plate]) -> None:
    for name, plate in plates.items():
        shown = {text.get_text() for text in letters(plate.figure)}
        labels = {ax.get_xlabel() for ax in plate.figure.axes} | {ax.get_ylabel() for ax in plate.figure.axes}
        common = {plate.figure.get_supxlabel(), plate.figure.get_supylabel()}
        assert (labels | common) & shown - {""}, name


def test_recovery_has_all_simulations(plates: dict[str, Plate]) -> None:
    """Cells of a panel count the simulations whose estimate lies in the drawn range."""
    axes = plates["recovery-bilstm"].figure.axes
    counts = [c.get_array().sum() for ax in axes for c in ax.collections if isinstance(c, PolyCollection)]  # type: ignore[union-attr]
    assert len(counts) == 4
    assert all(32 < count <= 64 for count in counts)


def test_style_leaves_nothing_behind() -> None:
    before = dict(mpl.rcParams)
    with style.journal_style():
        assert mpl.rcParams["svg.hashsalt"] == "jrflow"
    assert dict(mpl.rcParams) == before


def test_saving_is_repeatable(tmp_path: Path) -> None:
    def draw() -> str:
        with style.journal_style():
            figure = Figure(figsize=(2, 2))
            figure.subplots().plot([0, 1], label="line")
            return style.save(figure, tmp_path, "line")

    assert draw() == draw() == (tmp_path / "line.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5417, "54 %"), (1.163, "116 %"), (0.045, "4.5 %"), (8.2e-5, "0.0082 %"), (0.0, "0 %"), (np.nan, "–")],
)
def test_percentages_stay_readable(value: float, expected: str) -> None:
    assert percent(value).replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(-0.001, "0.00"), (-0.5, "−0.50"), (1.0, "1.00"), (np.nan, "–")]
)
def test_numbers_have_true_signs(value: float, expected: str) -> None:
    assert number(value) == expected


def test_symbols() -> None:
    assert symbol("A_e") == "<i>A</i><sub>e</sub>"
    assert symbol("C") == "<i>C</i>"
    assert "<i>C</i>" in symbol("C_3")
    assert symbol("C_3").endswith("<i>a</i><sub>3</sub>")
    assert style.symbol_with_unit("b_e") == "$b_e$ (s$^{-1}$)"


def test_a_caption_says_that_simulations_differ_in_the_time_of_their_stimulus() -> None:
    def view(**own: list[float]) -> EvokedView:
        over = xr.DataArray(np.zeros((2, 3)), dims=("sim", "time"))
        return EvokedView(over.assign_coords({name: ("sim", v) for name, v in own.items()}), over, "title")

    assert _own_timing({"unit-consistent": view()}) == ""
    said = _own_timing({"unit-consistent": view(stim_latency=[0.0, 0.01])})
    assert said == "; simulations differ in time from the onset to the pulse"
