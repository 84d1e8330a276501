"""TVB's zips: read as they stand, or refused with the reason."""

import bz2
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from jrflow.model.connectome import Connectome

# Region 0 receives from 1 and 2, region 1 from 2 only, region 2 from 0 only.
WEIGHTS = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 4.0], [3.0, 0.0, 0.0]])
LENGTHS = np.array([[0.0, 10.0, 25.0], [99.0, 0.0, 35.0], [42.6, 7.0, 0.0]])
CENTRES = np.array([[-30.5, 0.0, 1e1], [30.5, 0.0, 10.0], [0.0, -40.0, 20.0]])
NAMES = ("left", "right", "back")
CENTRE_LINES = "left -30.5 0 1e1\nright 30.5 0 10\nback 0 -40.0 20\n"
BRAIN = Connectome(WEIGHTS, LENGTHS, NAMES, CENTRES)


def text(rows: np.ndarray) -> str:
    return "\n".join(" ".join(repr(float(x)) for x in row) for row in rows) + "\n"


def parts(**changed: str | bytes | None) -> dict[str, str | bytes]:
    """Files of a good zip, some of them changed or, with None, left out."""
    good = {"weights.txt": text(WEIGHTS), "tract_lengths.txt": text(LENGTHS), "centres.txt": CENTRE_LINES}
    merged = good | {f"{stem}.txt": content for stem, content in changed.items()}
    return {name: content for name, content in merged.items() if content is not None}


def write(path: Path, contents: dict[str, str | bytes]) -> Path:
    with ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


HEADER = "label x y z\n"
COMPRESSED = {f"{name}.bz2": bz2.compress(str(content).encode()) for name, content in parts().items()}


@pytest.mark.parametrize(
    "contents",
    [
        parts() | {"average_orientations.txt": "1 2 3\n", "info.txt": "weights.txt has no unit"},
        {f"connectivity_3/{name}": content for name, content in parts().items()}
        | {f"__MACOSX/connectivity_3/{name}": "shadow" for name in parts()},
        COMPRESSED,
        parts(centres=None) | {"centers.txt": "\ufeff" + CENTRE_LINES},
        parts(centres="# made by hand\n\n" + HEADER + CENTRE_LINES.replace("\n", " None\n ")),
        parts(weights=text(WEIGHTS).replace(" ", "\t").replace("\n", "\r\n")),
    ],
    ids=["flat", "folder", "bz2", "byte-order mark", "header", "tabs"],
)
def test_a_tvb_zip_is_read_as_it_stands(tmp_path: Path, contents) -> None:
    """Weights and lengths differ in both directions: a transposition would show."""
    read = Connectome.from_tvb_zip(write(tmp_path / "a.zip", contents))
    assert read.digest == BRAIN.digest
    np.testing.assert_array_equal(read.weights, WEIGHTS)
    np.testing.assert_array_equal(read.centres, CENTRES)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (parts(weights=None), "weights: expected one file, found 0 among tract_lengths.txt, centres.txt"),
        (parts(centres=None), "centres: expected one file, found 0"),
        (parts() | {"old/weights.txt": "1"}, "weights: expected one file, found 2 among .*old/weights.txt"),
        (parts() | {"centers.txt": "a 0 0 0"}, "centres: expected one file, found 2"),
        (parts(weights=text(WEIGHTS) + "1 2"), "weights: expected rows of numbers, all of one length"),
        (parts(weights="0 1\nx 0"), "weights: expected rows of numbers.*'x'"),
        (parts(weights=""), r"weights: .*\(0,\)"),
        (parts(weights=text(WEIGHTS).replace("4.0", "nan")), r"weights: .*nan at \[1, 2\]"),
        (parts(weights=b"\xff\xfe1 2"), "weights.txt: 'utf-8'"),
        (parts(weights=None) | {"weights.txt.bz2": b"no"}, "weights.txt.bz2: Invalid data"),
        (parts(tract_lengths=text(LENGTHS[:2, :2])), r"tract_lengths: .*\(3, 3\).*\(2, 2\)"),
        (parts(centres=HEADER + CENTRE_LINES.replace("40.0", "west")), "centres: .*'-west'"),
        (parts(centres=CENTRE_LINES + "extra 0 0 0"), r"centres: .*\(3, 3\).*\(4, 3\)"),
        (parts(centres=""), r"centres: .*\(3, 3\).*\(0,\)"),
    ],
)
def test_a_malformed_tvb_zip_is_refused(tmp_path: Path, contents, message: str) -> None:
    with pytest.raises(ValueError, match=f"broken.zip: expected .* TVB's zip format; {message}"):
        Connectome.from_tvb_zip(write(tmp_path / "broken.zip", contents))


@pytest.mark.parametrize("contents", [parts(tract_lengths=None), parts(tract_lengths="")])
def test_a_tvb_zip_without_tracts_has_weights_alone(tmp_path: Path, contents) -> None:
    read = Connectome.from_tvb_zip(write(tmp_path / "a.zip", contents))
    assert read.tract_lengths is None
    np.testing.assert_array_equal(read.weights, WEIGHTS)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (CENTRE_LINES.replace("left", "left lobe"), ("left lobe", "right", "back")),
        ("left lobe -30.5 0 1e1 x\nright 30.5 0 10 y\nback 0 -40.0 20 z\n", ("left lobe", "right", "back")),
        ("a left -30.5 0 1e1\na right 30.5 0 10\na back 0 -40.0 20\n", ("a left", "a right", "a back")),
        ("area 1 -30.5 0 1e1\narea 2 30.5 0 10\narea 3 0 -40 20\n", ("area 1", "area 2", "area 3")),
        ("a b c\t-30.5\t0\t1e1\nd\t30.5\t0\t10\ne f\t0\t-40.0\t20\n", ("a b c", "d", "e f")),
        ("the label x y z\n" + CENTRE_LINES.replace("left", "left lobe"), ("left lobe", "right", "back")),
        ("1 -30.5 0 1e1\n2 30.5 0 10\n3 0 -40.0 20\n", ("1", "2", "3")),
    ],
)  # fmt: skip
def test_names_of_several_words(tmp_path: Path, lines: str, names: tuple[str, ...]) -> None:
    read = Connectome.from_tvb_zip(write(tmp_path / "a.zip", parts(centres=lines)))
    assert read.names == names
    np.testing.assert_array_equal(read.centres, CENTRES)


def test_repeated_names_are_numbered(tmp_path: Path) -> None:
    lines = CENTRE_LINES.replace("back", "left")
    with pytest.warns(UserWarning, match="'left'"):
        read = Connectome.from_tvb_zip(write(tmp_path / "a.zip", parts(centres=lines)))
    assert read.names == ("left-1", "right", "left-2")
    assert len(set(read.names)) == 3


def test_what_is_no_zip_is_told_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("0 1\n1 0\n")
    with pytest.raises(ValueError, match=r"text.zip: .*not a zip file"):
        Connectome.from_tvb_zip(tmp_path / "text.zip")
    with pytest.raises(FileNotFoundError, match=r"absent.zip"):
        Connectome.from_tvb_zip(tmp_path / "absent.zip")
