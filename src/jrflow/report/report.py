"""The report: all results of a run in one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jrflow.report.content import Missing, Plate, Section, Table
from jrflow.report.inputs import RunResults
from jrflow.report.section_calibration import calibration_section
from jrflow.report.section_model import evoked_section, presets_section
from jrflow.report.section_parameters import parameters_section
from jrflow.report.section_published import published_section
from jrflow.report.section_recordings import recordings_section
from jrflow.report.section_run import run_section
from jrflow.report.section_scores import recovery_section, scores_section
from jrflow.report.section_sensitivity import heat_map_section, sobol_section
from jrflow.report.section_summary import summary_section
from jrflow.report.section_training import learning_section
from jrflow.report.style import journal_style, save

_SECTIONS = (
    summary_section,
    parameters_section,
    run_section,
    evoked_section,
    presets_section,
    scores_section,
    recovery_section,
    calibration_section,
    published_section,
    learning_section,
    recordings_section,
    sobol_section,
    heat_map_section,
)


def build_report(folder: Path) -> Path:
    """Write report.html and figures/ from the results of a run.

    Parameters
    ----------
    folder
        ``results/<run>``; only files in it are read. What is absent is left out of the report, with a
        sentence that says so.

    Returns
    -------
    Path of the report: one file without references to any other.

    Raises
    ------
    FileNotFoundError
        If the folder holds no config.yaml.
    """
    return write_report(folder, make_sections(RunResults.open(folder)))


def make_sections(run: RunResults) -> list[Section]:
    """Draw and describe everything that is in the report."""
    with journal_style():
        return [make(run) for make in _SECTIONS]


def write_report(folder: Path, sections: Iterable[Section]) -> Path:
    """Write figures/ and report.html into a run's folder; returns the path of the latter."""
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    with journal_style():
        rendered = [_render(section, figures) for section in _number(sections)]
    environment = Environment(
        loader=PackageLoader("jrflow.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    html = environment.get_template("report.html.j2").render(name=folder.resolve().name, sections=rendered)
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def _number(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Give every figure and table its number, in the order of the report."""
    counts = {"figure": 0, "table": 0}
    numbered = []
    for section in sections:
        blocks = []
        for block in section.blocks:
            if isinstance(block, Plate | Table):
                counts[block.kind] += 1
            blocks.append({"block": block, "number": counts.get(block.kind)})
        complete = not all(isinstance(block, Missing) for block in section.blocks)
        numbered.append({"section": section, "blocks": blocks, "complete": complete})
    return numbered


def _render(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the figures of a section and embed them."""
    for entry in section["blocks"]:
        if isinstance(entry["block"], Plate):
            svg = save(entry["block"].figure, folder, entry["block"].name)
            encoded = base64.b64encode(svg.encode()).decode()
            entry["source"] = Markup("data:image/svg+xml;base64,{}").format(encoded)
            entry["alt"] = entry["block"].caption.striptags()
    return section
