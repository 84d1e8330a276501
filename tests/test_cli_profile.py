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
    assert f"{folder} already exists; use --force to replace it" in capsys.readouterr().err
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
    assert f"account: {NOT_TAKEN} (a job on CPUs: --time=240 --account=lba --cpus-per-task=8)" in said
    assert "use --no-check to write the profile without this check" in said
    assert not folder.exists()
    n_asked = len(slurm.asked("sbatch"))
    assert main([*INSTALL, "--account", "lba", "--no-check"]) == 0
    assert len(slurm.asked("sbatch")) == n_asked
    assert load_cluster(folder / "cluster.yaml").account == "lba"


def test_without_accounting_and_gpus(slurm: Slurm, folder: Path) -> None:
    without = Answer(err=NO_ACCOUNTING, code=1)
    slurm.answers(sinfo="cpu*|4|(null)|1:00:00|2\n", sacctmgr=without, sacct=without)
    assert main(INSTALL) == 0
    cluster = load_cluster(folder / "cluster.yaml")
    assert not cluster.accounting
    assert cluster.gres() is None
    # Smaller than the defaults, since the partition is.
    assert (cluster.cores, cluster.longest_job) == (4, 60)
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
    assert said.startswith("jrflow: the options: 2 errors\n")
    assert "account: expected Account that jobs are charged to" in said
    assert "cores: expected a number greater than or equal to 1, received 0" in said
    assert not folder.exists()


def test_what_only_has_to_wait_is_a_warning(
    slurm: Slurm, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm.answers(
        sbatch=Answer(err="allocation failure: Requested node configuration is not available", code=1)
    )
    assert main([*INSTALL, "--account", "lab"]) == 0
    assert "warning: jobs may have to wait" in capsys.readouterr().err
    assert folder.exists()


def _answers(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> dict[str, list[str]]:
    """Let somebody answer the questions; a question that is asked once too often fails."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    left = {_MEANING[key]: iter(words) for key, words in answers.items()}
    asked: dict[str, list[str]] = {}

    def answer(question: str) -> str:
        known = next((meaning for meaning in left if question.startswith(meaning)), None)
        asked.setdefault(question.split(" (")[0].split(";")[0], []).append(question)
        return "" if known is None else next(left[known])

    monkeypatch.setattr("builtins.input", answer)
    return asked


_MEANING = {
    "account": "account that", "partition": "partition of jobs without", "gpu_type": "type of GPU",
    "interface": "network interface", "cores": "cores of a job",
}  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "key", "value"),
    [
        ({"partition": ["cpx", "old"]}, "partition", "old"),
        ({"account": ["my lab", "lab"]}, "account", "lab"),
        ({"gpu_type": ["h100", "a100"]}, "gpu_type", "a100"),
        ({"interface": ["ib77", "lo"]}, "interface", "lo"),
        ({"interface": ["ib77", "ib77"]}, "interface", "ib77"),
    ],
    ids=["partition", "no-word", "gpu-type", "interface", "insisted"],
)
def test_a_wrong_answer_is_asked_again_and_no_other_is_lost(
    slurm: Slurm, folder: Path, monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, list[str]], key: str, value: str,
) -> None:  # fmt: skip
    asked = _answers(monkeypatch, **{"account": ["lab"]} | answers)
    assert main(INSTALL) == 0
    cluster = load_cluster(folder / "cluster.yaml")
    assert getattr(cluster, key) == value
    assert cluster.account == "lab"
    assert sorted(map(len, asked.values())) == [1] * 5 + [2]


def test_a_number_that_is_too_large_is_asked_again(
    slurm: Slurm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answers(monkeypatch, partition=["old"], cores=["many", "8"])
    assert main([*INSTALL, "--cores", "9"]) == 0
    assert load_cluster(folder / "cluster.yaml").cores == 8


def test_where_the_answers_end_those_given_are_repeated(
    slurm: Slurm, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["lab"])

    def answer(_: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    assert main(INSTALL) == 2
    assert "--account lab" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.usefixtures("nowhere")
def test_there_is_no_slurm(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(INSTALL) == 2
    assert "sinfo: command not found" in capsys.readouterr().err
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
    assert "sbatch: command not found" in capsys.readouterr().err


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
    assert "Slurm refused the driver job: sbatch: error: invalid partition specified: cpx" in said
    assert "#SBATCH --account=lab" in said
    assert "#SBATCH --time=30" in said
    assert "\nmodule load python\n" in said
