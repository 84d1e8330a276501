"""Configurations that are no configurations, and files in them that hold something else than they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.config.fault import ConfigError, dotted
from jrflow.config.load import load_config
from jrflow.planning.feasibility import load_checked, parse_checked

BASE = """\
run: {name: bad}
priors:
  all: {kind: relative-uniform}
campaigns:
  train: {design: prior, n: 1000, prior: all}
  test: {design: prior, n: 10, prior: all}
eeg:
  noise: {clean: {kind: snr, snr_db: 20}}
inference:
  models: {m: {train: train, test: test}}
"""


#: File of the recording, of the covariance, and the key of the error.
FILES = [
    ("good-ave.fif", "good-cov.fif", None),
    ("epochs-epo.fif", "good-cov.fif", "inference.apply.evoked"),
    ("nan-ave.fif", "good-cov.fif", "inference.apply.evoked"),
    ("short-ave.fif", "good-cov.fif", "inference.apply.evoked"),
    ("few-ave.fif", "good-cov.fif", "inference.apply.evoked"),
    ("text-ave.fif", "good-cov.fif", "inference.apply.evoked"),
    ("good-ave.fif", "zero-cov.fif", "eeg.noise.measured.path"),
    ("good-ave.fif", "nan-cov.fif", "eeg.noise.measured.path"),
    ("good-ave.fif", "text-cov.fif", "eeg.noise.measured.path"),
    ("good-ave.fif", "folder-cov.fif", "eeg.noise.measured.path"),
    ("good-ave.fif", "good-ave.fif", "eeg.noise.measured.path"),
    ("good-ave.fif", "x" * 5000, "eeg.noise.measured.path"),
]


@pytest.mark.parametrize(("evoked", "covariance", "key"), FILES)
def test_files_that_hold_something_else_are_found(
    recordings: Path, evoked: str, covariance: str, key: str | None
) -> None:
    data: dict[str, Any] = yaml.safe_load(BASE)
    data["eeg"]["noise"]["measured"] = {"kind": "covariance", "path": str(recordings / covariance)}
    data["inference"]["apply"] = {"model": "m", "evoked": str(recordings / evoked), "noise": "measured"}
    if key is None:
        assert parse_checked(data).inference.apply is not None
    else:
        with pytest.raises(ConfigError) as caught:
            parse_checked(data)
        assert [dotted(fault.key) for fault in caught.value.faults] == [key]


def bomb(first: str, more: str, n: int) -> str:
    return "\n".join([f"a0: &a0 {first}", *(f"a{k}: &a{k} {more.format(k - 1)}" for k in range(1, n))])


UNREADABLE = {
    "empty": b"",
    "spaces": b" \n\n",
    "utf-16": "run: {name: x}".encode("utf-16"),
    "bytes": b"\x89PNG\r\n\x1a\n\x00",
    "alias bomb": bomb(
        "[1,1,1,1,1,1,1,1,1]", "[*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]", 9
    ).encode(),
    "merge bomb": bomb("{x: 1}", "{{<<: [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]}}", 30).encode(),
    "nested": b"[" * 20_000,
    "large": b"#" * 10_000_001,
    "date": b"run: 2024-13-45\n",
    "hexadecimal": b"run: 0x_\n",
    "digits": b"run: " + b"9" * 5_000,
    "tag": b"run: !!bool x\n",
    "object": b"run: !!python/name:os.system x\n",
    "tab": b"run:\n\tname: x\n",
    "list": b"- run\n",
    "word": b"run\n",
    "two documents": b"run: {}\n---\nrun: {}\n",
    "unknown alias": b"run: *there\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_configuration_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(UNREADABLE[name])
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [fault.key for fault in caught.value.faults] == [()]
    assert len(str(caught.value).splitlines()) == 2


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load_config(path).run.name == "bad"


def test_a_file_gives_the_lines_of_all_errors(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(BASE.replace("n: 10,", "n: ten,") + "nonsense: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_checked(path)
    assert f"{path}:6: " in str(caught.value)
    assert f"{path}:11: " in str(caught.value)
