"""What a cluster says of itself, as it was recorded."""

from __future__ import annotations

import pytest
from answers import NO_ACCOUNTING, SINFO, TAKEN, Answer, Slurm

from jrflow.cluster.site import (
    NoSlurmError,
    Partition,
    accounts,
    has_accounting,
    partitions,
    refusals,
)
from jrflow.config.cluster import ClusterConfig

NOT_TAKEN = "allocation failure: Invalid account or account/partition combination specified"


def test_partitions(slurm: Slurm) -> None:
    slurm.answers(sinfo=SINFO)
    assert partitions() == [
        Partition("cpu", True, frozenset(), 4),
        Partition("gpu", False, frozenset({"a100", "2080ti"}), 16),
        Partition("old", False, frozenset({""}), 8),
    ]


@pytest.mark.parametrize(
    ("gres", "types"),
    [
        ("(null)", set()),
        ("", set()),
        ("gpu:4", {""}),
        ("gpu", {""}),
        ("gpu:a100", {"a100"}),
        ("gpu:a100:4(S:0-1)", {"a100"}),
        ("gpu:a100:2(S:0),gpu:v100:2(S:1)", {"a100", "v100"}),
        ("gpu:3090:4", {"3090"}),
        ("gpu:1g.5gb:7(S:0,2)", {"1g.5gb"}),
        ("gpu:nvidia_a100-pcie-40gb:4", {"nvidia_a100-pcie-40gb"}),
        ("shard:8,gpu_mem:80G,mygpu:3,tmpdisk:100G", set()),
    ],
)
def test_types_of_gpus(slurm: Slurm, gres: str, types: set[str]) -> None:
    slurm.answers(sinfo=f"all*|8|{gres}\n")
    assert partitions()[0].gpu_types == types


def test_accounts(slurm: Slurm) -> None:
    slurm.answers(sacctmgr="lab\nroot\nlab\n\n")
    assert accounts() == ["lab", "root"]


def test_no_accounting(slurm: Slurm) -> None:
    without = Answer(err=NO_ACCOUNTING, code=1)
    slurm.answers(sacctmgr=without, sacct=without)
    assert accounts() == []
    assert not has_accounting()
    slurm.answers(sacct="")
    assert has_accounting()


def test_what_slurm_takes(slurm: Slurm) -> None:
    slurm.answers(sbatch=Answer(err=TAKEN))
    cluster = ClusterConfig(account="lab", partition="cpu", gpu_partition="gpu", gpu_type="a100", qos="long")
    assert refusals(cluster) == []
    on_cpus, on_gpus = slurm.asked("sbatch")
    assert on_cpus == (
        "--test-only --time=240 --account=lab --qos=long --partition=cpu --cpus-per-task=8 --wrap=true"
    )
    assert on_gpus == (
        "--test-only --time=240 --account=lab --qos=long --partition=gpu --gres=gpu:a100:1 --wrap=true"
    )


def test_what_slurm_refuses_is_told_with_what_was_asked_for(slurm: Slurm) -> None:
    slurm.answers(sbatch=Answer(err=f"sbatch: some advice\n{NOT_TAKEN}\n\n", code=1))
    on_cpus, on_gpus = refusals(ClusterConfig(account="none"))
    assert on_cpus == f"a job on CPUs (--time=240 --account=none --cpus-per-task=8): {NOT_TAKEN}"
    assert on_gpus == f"a job on GPUs (--time=240 --account=none --gres=gpu:1): {NOT_TAKEN}"


def test_without_gpus_none_is_asked_for(slurm: Slurm) -> None:
    slurm.answers(sbatch=Answer(code=1))
    (on_cpus,) = refusals(ClusterConfig.model_validate({"training": {"gpus_per_node": 0}}))
    assert on_cpus.endswith("sbatch: exit code 1")


@pytest.mark.usefixtures("slurm")
def test_there_is_no_slurm() -> None:
    with pytest.raises(NoSlurmError, match="sinfo is not here: is this a login node of a Slurm cluster"):
        partitions()
    assert accounts() == []
    assert not has_accounting()
    assert all("sbatch is not here" in refusal for refusal in refusals(ClusterConfig()))


def test_no_answer_in_time(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jrflow.cluster.queue._ANSWER_WITHIN", 0.2)
    slurm.answers(sinfo=Answer(SINFO, after=1))
    with pytest.raises(NoSlurmError, match=r"sinfo did not answer within 0\.2 s"):
        partitions()
