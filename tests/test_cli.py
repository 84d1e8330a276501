"""The command line: what it prints, how it fails, and that it answers at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from jrflow.cli import main
from jrflow.config.schema import config_schema, generated

ROOT = Path(__file__).parents[1]


def test_check_says_what_would_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text(generated()["config.yaml"], encoding="utf-8")
    assert main(["config", "check", str(tmp_path / "config.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tmp_path / 'config.yaml'}: OK"
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    # 512 * (9 + 2) simulations of 1201 samples of 4 bytes, 4096 simulations a shard
    assert rows["sobol"] == ["sobol", "saltelli", "unit-consistent", "uniform-50", "5,632", "27.1", "MB", "2"]
    assert rows["oat"][4:] == ["900", "4.32", "MB", "1"]
    assert rows["total"][1] == "99,080"


def test_check_counts_the_regions_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(ROOT / "examples" / "whole-brain.yaml")]) == 0
    printed = capsys.readouterr().out
    # 1024 simulations of 68 regions of 1201 samples of 4 bytes, 128 simulations a shard
    assert printed.splitlines()[5].split()[4:] == ["1,024", "335", "MB", "8"]
    assert "network: Connectome(68 regions" in printed


def test_check_reports_faults_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("run: {nam: x}\n", encoding="utf-8")
    assert main(["config", "check", str(tmp_path / "bad.yaml")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"jrflow: {tmp_path / 'bad.yaml'}: 3 errors\n")
    assert "Traceback" not in printed.err


def test_check_finds_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = generated()["config.yaml"].replace("kind: montage", "kind: recording")
    text = text.replace("montage: biosemi64", "path: absent-ave.fif")
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert main(["config", "check", str(tmp_path / "config.yaml")]) == 2
    assert "eeg.head.path: no such file: 'absent-ave.fif'" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--debug", "config", "check"], ["config", "check", "--debug"]])
def test_debug_shows_the_traceback(argv: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        main([*argv, str(tmp_path / "absent.yaml")])


def test_default_and_schema_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "default"]) == 0
    assert capsys.readouterr().out == generated()["config.yaml"]
    assert main(["config", "schema"]) == 0
    assert capsys.readouterr().out == config_schema()


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["cofnig"])
    assert caught.value.code == 2
    assert "invalid choice: 'cofnig'" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from jrflow.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'numpy', 'pandas', 'xarray', 'numba', 'torch', 'mne', 'pydantic', 'dask', 'matplotlib'}))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.startswith("usage: jrflow")
    assert answer.stdout.splitlines()[-1] == "[]"
