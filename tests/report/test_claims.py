"""What the report claims: no more than the results behind it hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from markupsafe import Markup

from jrflow.report import style
from jrflow.report.content import Block, Folded, Plate, Section, Table, Text, count
from jrflow.report.figures_scores import scores_figure
from jrflow.report.figures_sobol import axis_range, n_cut, sobol_figure
from jrflow.report.inputs import RunResults
from jrflow.report.scores import (
    best_estimator,
    estimators,
    mean_over_seeds,
    partly_tested,
    single_parameters,
)
from jrflow.report.section_calibration import calibration_section
from jrflow.report.section_limits import limit_blocks
from jrflow.report.section_parameters import parameters_section
from jrflow.report.section_run import run_section
from jrflow.report.section_scores import scores_section
from jrflow.report.section_sensitivity import sobol_section
from jrflow.report.section_summary import summary_section

#: As users name their networks.
NAMED = ["mlp+exact", "bilstm-tuned", "bilstm-128", "cnn-bilstm", "transformer", "bilstm"]
LEVELS = ["loud", "middle", "quiet"]
Patched = Callable[..., RunResults]


def words(blocks: Section | list[Block]) -> str:
    """All text of a section, as a reader sees it."""
    blocks = list(blocks.blocks) if isinstance(blocks, Section) else blocks
    parts = []
    for block in blocks:
        parts.append(getattr(block, "html", getattr(block, "caption", "")))
        if isinstance(block, Table):
            parts += [Markup(" ").join(map(str, row)) for row in block.rows]
    return " ".join(Markup(part).striptags() for part in parts)


@pytest.fixture
def patched(results: Path) -> Patched:
    """The miniature run with some results replaced: cached ones by value, others by a function."""

    def patch(**replaced: Any) -> RunResults:
        run = RunResults.open(results)
        run.__dict__.update(replaced)
        return run

    return patch


# Estimators: each its own style, and none ranked with what it cannot be compared with.


def test_every_estimator_has_its_own_style() -> None:
    styles = style.estimator_styles(NAMED)
    assert (
        len({look.colour for look in styles.values()}) == len({look.marker for look in styles.values()}) == 6
    )
    assert style.BLACK not in {each.colour for each in styles.values()}, "black is the limit's"


def test_styles_stay_apart_beyond_all_colours() -> None:
    styles = style.estimator_styles([f"network-{k}" for k in range(40)])
    assert len(set(styles.values())) == 40


def test_a_known_estimator_looks_the_same_in_every_run() -> None:
    assert style.estimator_styles(["x", "bilstm"])["bilstm"] == style.estimator_styles(["bilstm"])["bilstm"]


def with_partly_tested(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with an estimator that is better, on ten simulations."""
    better = scores[scores["estimator"] == "bilstm"].assign(estimator="bilstm+exact", n=10)
    return pd.concat([scores, better.assign(r2=better["r2"] + 0.05)])


def test_an_estimator_on_fewer_simulations_is_never_the_best(patched: Patched, results: Path) -> None:
    scores = with_partly_tested(pd.read_csv(results / "evaluation/scores.csv"))
    mean = mean_over_seeds(scores)
    assert best_estimator(mean) == "bilstm"
    assert estimators(mean) == ["bilstm", "extra-trees", "mean", "bilstm+exact"]
    assert partly_tested(mean) == ["bilstm+exact"]
    run = patched(scores=scores)
    assert "likelihood" not in words(summary_section(run))
    tables = [block for block in scores_section(run).blocks if isinstance(block, Table)]
    assert all("Bi-LSTM + likelihood (n = 10)" in table.header for table in tables)
    # Where all are scored on the same simulations, they are ranked.
    assert best_estimator(mean.assign(n=64)) == "bilstm+exact"


def test_only_the_middle_noise_level_is_unfolded(patched: Patched) -> None:
    tables = [block for block in scores_section(patched()).blocks if isinstance(block, Table)]
    assert [table.folded for table in tables] == [True, False, True] * 2


def test_markers_without_lines_for_what_is_not_comparable(results: Path) -> None:
    scores = mean_over_seeds(with_partly_tested(pd.read_csv(results / "evaluation/scores.csv")))
    rows = scores[scores["preset"] == "unit-consistent"]
    figure = scores_figure(rows, ["A_i"], estimators(rows), partly=partly_tested(rows))
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["Bi-LSTM + likelihood"].get_linestyle() == "None"
    assert lines["Bi-LSTM"].get_linestyle() == "-"


# The limit is described by the method that found it.


def test_limits_are_described_by_their_method(patched: Patched) -> None:
    sampled, laplace = (words([block]) for block in limit_blocks(patched()))
    assert "Gaussian" not in sampled
    assert "sampled on the likelihood" in sampled
    assert "40 test simulations" in sampled
    assert "0.012" in sampled, "its standard error"
    assert "25 % at quiet" in sampled.replace("\N{NO-BREAK SPACE}", " "), "unresolved cases"
    assert "uncertain" in sampled
    assert "Gaussian approximation" in laplace
    assert "0.034" in laplace
    assert "Markov" not in laplace


def test_the_summary_says_where_the_limit_is_uncertain(patched: Patched, results: Path) -> None:
    scores = pd.read_csv(results / "evaluation/scores.csv")
    assert "limit is uncertain" not in words(summary_section(patched()))
    shifted = scores.assign(snr_db=scores["noise"].map({"loud": 20.0, "quiet": 10.0, "middle": 0.0}))
    assert "limit is uncertain: 25" in words(summary_section(patched(scores=shifted)))


# Can the posteriors be trusted?


def test_the_report_answers_in_its_summary_and_its_section(patched: Patched) -> None:
    run = patched()
    summary = words(summary_section(run))
    assert "npe be trusted? No" in summary
    assert "reference posteriors of bilstm? Yes at loud, middle; no at quiet" in summary
    table = next(block for block in calibration_section(run).blocks if isinstance(block, Table))
    assert [Markup(row[2]).striptags() for row in table.rows] == ["no"] * 3 + ["yes", "yes", "no"]


def test_reference_posteriors_show_their_calibration(patched: Patched) -> None:
    (table,) = (
        block
        for block in calibration_section(patched()).blocks
        if isinstance(block, Table) and "Reference posteriors" in block.caption
    )
    quiet = [str(cell).replace("\N{NO-BREAK SPACE}", " ") for cell in table.rows[2]]
    assert quiet == ["quiet", "1", "0.6", "90.0", "25 %", "321", "0.05"]


def test_a_posterior_is_shown_with_its_truth(sections: list[Section], results: Path) -> None:
    plates = {b.name: b for section in sections for b in section.blocks if isinstance(b, Plate)}
    true = xr.open_dataset(results / "evaluation/npe-predictions.nc", engine="h5netcdf")["true"].isel(sim=0)
    axes = plates["posterior-npe"].figure.axes
    assert len(axes) == true.sizes["parameter"]
    for ax, value in zip(axes, true.values, strict=True):
        assert ax.lines[0].get_xdata()[0] == pytest.approx(value)
        assert len(ax.patches) == len(LEVELS)


# Parameters and presets.


def test_parameters_and_presets_are_explained_before_they_are_used(
    patched: Patched, sections: list[Section]
) -> None:
    assert [section.anchor for section in sections[:2]] == ["summary", "parameters"]
    (table,) = (b for b in parameters_section(patched()).blocks if isinstance(b, Table))
    rows = {Markup(row[1]).striptags(): [str(cell) for cell in row] for row in table.rows}
    assert len(rows) == 12
    assert rows["Ai"] == [
        "inhibitory synaptic gain",
        rows["Ai"][1],
        "mV",
        "22",
        "22",
        "11 to 33",
        "17.6 to 110",
    ]
    assert rows["r"][3:5] == ["0.56", "0.00056"]
    assert rows["Ae"][5] == "–", "it does not vary in this run"
    text = words(parameters_section(patched()))
    assert "unit-consistent" in text
    assert "as-published" in text
    assert "jansen-rit-1995" not in text


def test_seeds_are_no_prose(patched: Patched) -> None:
    run = patched()
    blocks = run_section(run).blocks
    seed = str(next(iter(run.manifests.values())).specification["seed"])
    assert not [b for b in blocks if isinstance(b, Text) and seed in b.html]
    assert any(isinstance(b, Folded) and seed in b.text for b in blocks)


@pytest.mark.parametrize(("n", "expected"), [(1, "1 region"), (4, "4 regions"), (1200, "1,200 regions")])
def test_numbers_agree_with_their_nouns(n: int, expected: str) -> None:
    assert count(n, "region") == expected


# Sobol indices.


def indices(run: RunResults) -> xr.Dataset:
    found = run.sobol("sobol")
    assert found is not None
    return found


def test_whiskers_are_called_what_they_are(patched: Patched, results: Path, tmp_path: Path) -> None:
    run = patched()
    caption = words(sobol_section(run))
    assert "Student" in caption
    assert "8 independent scrambles" in caption
    old = RunResults(tmp_path, run.config)
    (tmp_path / "sensitivity").mkdir()
    for campaign in run.config.sensitivity.sobol:
        before = indices(run).drop_vars(["S1_se", "ST_se", "n_replicates", "fraction_dropped_by_replicate"])
        before.attrs = {"conf_level": 0.95, "n_bootstrap": 10, "channel": "FC3", "preset": "unit-consistent"}
        before.to_netcdf(tmp_path / f"sensitivity/{campaign}.nc", engine="h5netcdf")
    caption = words(sobol_section(old))
    assert "Student" not in caption
    assert "bootstrap" in caption
    assert "no independent error" in caption


def test_whiskers_beyond_the_axis_are_marked_and_counted(patched: Patched) -> None:
    found = indices(patched())
    found["ST_conf"][:] = 0.01
    found["S1_conf"][:] = 0.01
    found["ST"][:], found["S1"][:] = 0.5, 0.2
    assert n_cut(found) == 0
    assert axis_range(found) == (-0.12, 1.2)
    found["ST_conf"][0, 0] = 0.9  # 1.4: the axis grows
    assert n_cut(found) == 0
    assert axis_range(found)[1] == pytest.approx(1.4)
    found["ST_conf"][0, 0] = 7.0  # both ends are beyond any axis
    assert n_cut(found) == 1
    marks = [line for line in sobol_figure(found).axes[0].lines if line.get_marker() in ("v", "^")]
    assert sum(len(np.atleast_1d(line.get_xdata())) for line in marks) == 2


def test_dropped_base_points_are_said_with_what_that_means(patched: Patched) -> None:
    run = patched()
    found = indices(run)
    found["fraction_dropped"][:] = 0
    found["fraction_dropped"][1] = 0.08
    object.__setattr__(run, "sobol", lambda campaign: found)
    text = words(sobol_section(run)).replace("\N{NO-BREAK SPACE}", " ")
    assert f"{str(found['feature'].values[1]).replace('_', ' ')} 8 %" in text
    assert "biased" in text


def test_no_two_curves_of_one_legend_look_alike(sections: list[Section]) -> None:
    for section, block in itertools.chain.from_iterable(((s, b) for b in s.blocks) for s in sections):
        if isinstance(block, Plate) and block.name.startswith(("scores-", "posterior-")):
            lines = [line for line in block.figure.axes[0].lines if not str(line.get_label()).startswith("_")]
            looks = {(str(line.get_color()), str(line.get_marker()), line.get_linestyle()) for line in lines}
            assert len(looks) == len(lines), section.title


def test_parameters_of_the_input_are_counted_and_products_are_not() -> None:
    names = ["stim_latency", "C_1", "b_i", "A_e", "A_e"]
    assert single_parameters(names) == ["A_e", "b_i", "stim_latency"]
