"""Wrong calls of the command line: exit code 2, one message on stderr, nothing on stdout, no traceback."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jrflow.cli import main
from jrflow.cli.extras import advice, extra_of

CONFIG = """\
run: {name: cli}
simulation: {protocol: {kind: evoked, n_trials: 3}}
priors: {all: {kind: relative-uniform}}
campaigns: {train: {design: prior, n: 8, prior: all}}
execution: {backend: in-process}
"""

#: Arguments; {config}, {folder}, {file}, {bad} and {store} stand for paths.
WRONG = [
    "",
    "cofnig",
    "config",
    "config chek {config}",
    "config check",
    "config check absent.yaml",
    "config check {folder}",
    "config check {file}",
    "config check {bad}",
    "config check {config} {config}",
    "config check /dev/null",
    "config default {config}",
    "config schema --version",
    "campaign",
    "campaign {config}",
    "campaign {config} train",
    "campaign absent.yaml train --out {folder}/new",
    "campaign {bad} train --out {folder}/new",
    "campaign {config} tarin --out {folder}/new",
    "campaign {config} train --out {file}",
    "campaign {config} train --out {file}/below",
    "campaign {config} train --out {folder}/new --workers -1",
    "campaign {config} train --out {folder}/new --workers 1.5",
    "campaign {config} train --out {folder}/new --workers many",
    "campaign {config} train --out {folder}/new --workers 99999999999999999999",
    "campaign {config} train --out {folder}/new --block 0/3",
    "campaign {config} train --out {folder}/new --block 4/3",
    "campaign {config} train --out {folder}/new --block 1",
    "campaign {config} train --out {folder}/new --block 1/3 --design",
    "campaign {config} train --out {folder}/new --attempt 0",
    "campaign {config} train --out {folder}/new --attempt x",
    "campaign {config} train --out {folder}/new --cluster absent.yaml",
    "campaign {config} train --out {folder}/new --cluster {file}",
    "campaign {config} train --out {folder}/new --cluster {config} --block 1/2",
    "campaign {config} train --out {folder}/new --nonsense",
    "archive",
    "archive info",
    "archive info absent.zarr",
    "archive info {file}",
    "archive info {folder}",
    "archive verify absent.zarr",
    "archive verify {folder}",
    "archive repair absent.zarr",
    "archive repair {folder} --workers -1",
    "archive add absent.zarr other.zarr",
    "archive export absent.zarr {folder}/out.nc",
    "profile",
    "profile install",
    "profile install lsf",
    "driver",
    "driver --cluster absent.yaml -- ls",
    "driver --cluster {file} -- ls",
    "driver --cluster {file} --minutes 0 -- ls",
    "driver --cluster {file}",
    "infer",
    "infer absent.fif",
]


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "bad.yaml").write_text(CONFIG.replace("n: 8", "n: 1e30"))
    (tmp_path / "file.yaml").write_text("no mapping")
    (tmp_path / "folder").mkdir()
    names = {"config": "config.yaml", "bad": "bad.yaml", "file": "file.yaml", "folder": "folder"}
    return {name: str(tmp_path / path) for name, path in names.items()}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_says_so_in_one_message(
    call: str, paths: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(call.format(**paths).split())
    except SystemExit as end:  # argparse ends by itself
        code = end.code if isinstance(end.code, int) else 1
    printed = capsys.readouterr()
    assert code in (1, 2)
    assert printed.out == "" or code == 1  # what was examined and found unsound is reported on stdout
    assert printed.err or printed.out
    for foreign in ("Traceback", "pydantic", "http", "Errno"):
        assert foreign not in printed.err
    assert not (Path(paths["folder"]) / "new").exists()


def program(*arguments: str) -> list[str]:
    """Command line of a process that runs jrflow."""
    code = f"import sys; from jrflow.cli import main; sys.exit(main({list(arguments)!r}))"
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("arguments", [("config", "default"), ("config", "schema"), ("--help",)])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    """As in 'jrflow config default | head -1': quiet, with the exit code of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(program(*arguments), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == (0 if arguments == ("--help",) else 128 + signal.SIGPIPE)  # argparse's own


def test_ctrl_c_says_how_to_resume(tmp_path: Path) -> None:
    text = CONFIG.replace("n: 8", "n: 200000").replace("in-process", "in-process, shard_size: 256")
    (tmp_path / "config.yaml").write_text(text)
    command = program("campaign", str(tmp_path / "config.yaml"), "train", "--out", str(tmp_path / "out"))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shards = tmp_path / "out/train.zarr/source/c"
    end = time.monotonic() + 120
    while (
        not (shards.is_dir() and any(shards.iterdir())) and process.poll() is None and time.monotonic() < end
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "start the same command again" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_after_ctrl_c_dropped_tasks_are_not_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When Ctrl-C comes, Zarr's event loop may hold tasks; asyncio reports each when it is collected."""
    logger = logging.getLogger("asyncio")
    monkeypatch.setattr(logger, "level", logger.level)

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jrflow.config.schema.config_schema", interrupted)
    assert main(["config", "schema"]) == 130
    assert "start the same command again" in capsys.readouterr().err.splitlines()[-1]
    assert not logger.isEnabledFor(logging.ERROR)


@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("torch", "inference"),
        ("sbi", "inference"),
        ("scikit-learn", "inference"),
        ("submitit", "workflow"),
        ("dask_jobqueue", "workflow"),
        ("snakemake", "workflow"),
        ("s3fs", "s3"),
        ("numba-cuda", "gpu"),
        ("xarray", ""),
        ("nonsense", None),
    ],
)
def test_the_advice_names_the_extra_that_brings_a_package(package: str, extra: str | None) -> None:
    assert extra_of(package) == extra


def test_the_advice_is_for_the_package_of_a_module() -> None:
    assert "jrflow[workflow]" in advice(ModuleNotFoundError("No module named 'submitit'", name="submitit"))
    assert "jrflow[inference]" in advice(ModuleNotFoundError("x", name="sklearn.ensemble"))
