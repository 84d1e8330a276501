"""Connectomes in files of several formats, and what is said about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

import jrflow
from jrflow.model.connectome_files import read_connectome
from jrflow.model.connectome_report import describe

BRAIN = jrflow.Connectome.synthetic(5, seed=2)


def written(path: Path, rows: np.ndarray, delimiter: str = ",", names: tuple[str, ...] = ()) -> Path:
    lines = [delimiter.join(map(repr, row)) for row in rows.tolist()]
    if names:
        lines = [
            delimiter.join(["", *names]),
            *(f"{n}{delimiter}{line}" for n, line in zip(names, lines, strict=True)),
        ]
    path.write_text("# a comment\n" + "\n".join(lines) + "\n\n")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_a_table_is_read_with_its_lengths(tmp_path: Path, delimiter: str) -> None:
    weights = written(tmp_path / "w.csv", BRAIN.weights, delimiter)
    lengths = written(tmp_path / "l.csv", BRAIN.tract_lengths, delimiter)
    found = read_connectome(weights, lengths)
    np.testing.assert_array_equal(found.weights, BRAIN.weights)
    np.testing.assert_array_equal(found.tract_lengths, BRAIN.tract_lengths)
    assert read_connectome(weights).tract_lengths is None


def test_a_table_has_names_in_its_first_row_and_column(tmp_path: Path) -> None:
    found = read_connectome(written(tmp_path / "w.csv", BRAIN.weights, names=BRAIN.names))
    assert found.names == BRAIN.names
    np.testing.assert_array_equal(found.weights, BRAIN.weights)
    other = written(tmp_path / "l.csv", BRAIN.tract_lengths, names=BRAIN.names[::-1])
    with pytest.raises(ValueError, match="its regions are not those of the weights"):
        read_connectome(tmp_path / "w.csv", other)


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_arrays_are_found_by_their_names(tmp_path: Path, kind: str) -> None:
    save = {"npz": lambda path, content: np.savez(path, **content), "mat": savemat}[kind]
    path = tmp_path / f"brain.{kind}"
    save(path, {"SC": BRAIN.weights, "lengths": BRAIN.tract_lengths, "labels": np.array(BRAIN.names),
                "centers": BRAIN.centres})  # fmt: skip
    found = read_connectome(path)
    assert found.digest == BRAIN.digest
    np.testing.assert_array_equal(found.centres, BRAIN.centres)
    save(path, {"anything": BRAIN.weights, "note": np.arange(3)})
    np.testing.assert_array_equal(read_connectome(path).weights, BRAIN.weights)
    save(path, {"one": BRAIN.weights, "two": BRAIN.weights})
    with pytest.raises(ValueError, match=r"it has no weights: .* found one \(5, 5\), two \(5, 5\)"):
        read_connectome(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "w.csv is empty"),
        ("1,2\n3", "expected rows of numbers"),
        ("1,2,3\n4,5,6", "expected one row and one column a region"),
        ("1,nan\n2,3", r"received nan at \[0, 1\]"),
        ("1,a\n2,3", "could not convert"),
    ],
)
def test_what_is_no_connectome_is_an_error_that_names_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "w.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"w.csv: expected a connectome; .*{message}"):
        read_connectome(path)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "brain.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="expected a connectome"):
        read_connectome(tmp_path / "brain.npz")


def said(weights: np.ndarray, **options: np.ndarray) -> dict[str, str]:
    return dict(describe(jrflow.Connectome(weights, **options)))


def test_the_description_says_what_is_unusual() -> None:
    usual = dict(describe(BRAIN))
    assert (usual["symmetry"], usual["connectedness"]) == ("symmetric", "connected")
    assert "negative weights" not in usual
    assert "links with itself" not in usual

    weights = np.zeros((5, 5))
    weights[0, 1], weights[2, 3], weights[2, 2] = 2.0, -1.0, 1.0
    found = said(weights, tract_lengths=np.where(weights > 0, 0.0, 80.0))
    assert found["symmetry"].startswith("not symmetric (largest difference 2)")
    assert "3 parts that are not linked (2, 2, 1 regions)" in found["connectedness"]
    assert "1 regions without any link, such as 'region-4'" in found["connectedness"]
    assert "2 regions that receive nothing, such as 'region-1'" in found["connectedness"]
    assert found["negative weights"].startswith("1:")
    assert found["links with itself"].startswith("1 regions")
    assert found["links of length 0"].startswith("1:")
    assert found["longest delay"] == "26.7 ms at 3 m/s, 8 ms at 10 m/s"
    assert said(weights)["tract lengths"].startswith("none")


def test_given_centres_are_those_of_a_synthetic_brain() -> None:
    """With the centres that it would choose itself, the brain is the same."""
    again = jrflow.Connectome.synthetic(10, 3, jrflow.Connectome.synthetic(10).centres)
    np.testing.assert_array_equal(again.weights, jrflow.Connectome.synthetic(10, 3).weights)
    with pytest.raises(ValueError, match=r"centres: expected the shape \(4, 3\)"):
        jrflow.Connectome.synthetic(4, centres=np.zeros((3, 3)))
