"""jrflow profile install, and jrflow driver: on the recorded answers of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from answers import NO_ACCOUNTING, SINFO, TAKEN, Answer, Slurm

from jrflow.cli import main
from jrflow.config.cluster import load_cluster

NOT_TAKEN = "allocation failure: Invalid account or account/partition combination specified"
INSTALL = ["profile", "install", "slurm"]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """No Slurm; profiles go below the test's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Slurm(tmp_path, monkeypatch)


@pytest.fixture
def slurm(nowhere: Slurm) -> Slurm:
    """A cluster with GPUs and accounting, which takes any job."""
    nowhere.answers(sinfo=SINFO, sacctmgr="lab\n", sacct="", sbatch=Answer(err=TAKEN))
    return nowhere


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of the profile."""
    return tmp_path / "home" / "snakemake" / "slurm"


@pytest.mark.usefixtures("slurm")
def test_both_files_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--account", "lab", "--scratch", "$TMPDIR", "--setup", "module load python", "--cores", "16"]
    assert main([*INSTALL, *words]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["cluster.yaml", "config.yaml"]
    cluster = load_cluster(folder / "cluster.yaml")
    assert (cluster.account, cluster.scratch, cluster.cores) == ("lab", "$TMPDIR", 16)
    assert cluster.setup == ("module load python",)
    assert cluster.accounting
    # The first partition that has GPUs, and one for a training.
    assert (cluster.gpu_partition, cluster.gres()) == ("gpu", "gpu:1")
    profile = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert profile["config"]["cluster"] == str(folder / "cluster.yaml")
    assert profile["default-resources"]["slurm_account"] == "'lab'"
    printed = capsys.readouterr().out
    assert "    snakemake --profile slurm\n" in printed
    assert f"jrflow driver --cluster {folder / 'cluster.yaml'} -- snakemake --profile slurm" in printed


def test_what_is_there_is_not_replaced_unasked(
    slurm: Slurm, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*INSTALL, "--cores", "3"]) == 0
    assert main([*INSTALL, "--cores", "4"]) == 2
    assert f"{folder} is there already; --force replaces it, --name gives another" in capsys.readouterr().err
    assert len(slurm.asked("sinfo")) == 1, "nothing was asked for in vain"
    assert load_cluster(folder / "cluster.yaml").cores == 3
    assert main([*INSTALL, "--cores", "4", "--force"]) == 0
    assert load_cluster(folder / "cluster.yaml").cores == 4
    assert main([*INSTALL, "--cores", "5", "--name", "other"]) == 0
    assert load_cluster(folder.parent / "other" / "cluster.yaml").cores == 5


def test_what_slurm_refuses(slurm: Slurm, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slurm.answers(sbatch=Answer(err=NOT_TAKEN, code=1))
    assert main([*INSTALL, "--account", "lba"]) == 2
    said = capsys.readouterr().err
    assert "Slurm would not take such jobs, so nothing was written" in said
    assert f"a job on CPUs (--time=240 --account=lba --cpus-per-task=8): {NOT_TAKEN}" in said
    assert "--no-check writes the profile nevertheless" in said
    assert not folder.exists()
    n_asked = len(slurm.asked("sbatch"))
    assert main([*INSTALL, "--account", "lba", "--no-check"]) == 0
    assert len(slurm.asked("sbatch")) == n_asked
    assert load_cluster(folder / "cluster.yaml").account == "lba"


def test_without_accounting_and_gpus(slurm: Slurm, folder: Path) -> None:
    without = Answer(err=NO_ACCOUNTING, code=1)
    slurm.answers(sinfo="cpu*|4|(null)\n", sacctmgr=without, sacct=without)
    assert main(INSTALL) == 0
    cluster = load_cluster(folder / "cluster.yaml")
    assert not cluster.accounting
    assert cluster.gres() is None
    profile = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert profile["slurm-status-command"] == "squeue"


@pytest.mark.usefixtures("slurm")
def test_options_say_how(folder: Path) -> None:
    assert main([*INSTALL, "--simulate", "adaptive", "--gpus", "0", "--longest-job", "60"]) == 0
    cluster = load_cluster(folder / "cluster.yaml")
    assert (cluster.simulate, cluster.longest_job, cluster.gres()) == ("adaptive", 60, None)
    assert cluster.gpu_partition is None


@pytest.mark.usefixtures("slurm")
def test_options_are_checked_as_a_file_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*INSTALL, "--account", "my lab", "--cores", "0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("jrflow: the options: 2 faults\n")
    assert "account: expected Account that jobs are charged to" in said
    assert "cores: expected a number greater than or equal to 1, received 0" in said
    assert not folder.exists()


@pytest.mark.usefixtures("nowhere")
def test_there_is_no_slurm(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(INSTALL) == 2
    assert "sinfo is not here: is this a login node of a Slurm cluster?" in capsys.readouterr().err
    assert not folder.exists()


@pytest.fixture
def cluster_file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text("account: lab\nlongest_job: 30\nsetup: [module load python]\n")
    return str(path)


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("words", [[], ["--"]])
def test_a_driver_needs_a_command(
    words: list[str], cluster_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["driver", "--cluster", cluster_file, *words]) == 2
    assert "expected a command, such as: jrflow driver --cluster FILE -- snake" in capsys.readouterr().err


@pytest.mark.usefixtures("nowhere")
def test_a_driver_where_there_is_no_slurm(cluster_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["driver", "--cluster", cluster_file, "--", "snakemake"]) == 2
    assert "sbatch is not here: is this a login node" in capsys.readouterr().err


def test_a_driver_is_submitted(
    slurm: Slurm, cluster_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm.answers(sbatch="31;test\n")
    assert main(["driver", "--cluster", cluster_file, "--", "snakemake", "--profile", "my slurm"]) == 0
    assert slurm.asked("sbatch") == ["--parsable"]
    printed = capsys.readouterr().out
    assert printed.startswith("job 31: snakemake --profile my slurm\n")
    assert "tail -F logs/driver-31.log" in printed
    assert (tmp_path / "logs").is_dir()


def test_a_driver_that_slurm_refuses(
    slurm: Slurm, cluster_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm.answers(sbatch=Answer(err="sbatch: error: invalid partition specified: cpx", code=1))
    assert main(["driver", "--cluster", cluster_file, "--", "snakemake"]) == 2
    said = capsys.readouterr().err
    assert "Slurm does not take the driver: sbatch: error: invalid partition specified: cpx" in said
    assert "#SBATCH --account=lab" in said
    assert "#SBATCH --time=30" in said
    assert "\nmodule load python\n" in said
