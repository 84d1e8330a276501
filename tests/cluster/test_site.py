"""What a cluster says of itself, as it was recorded."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from answers import NO_ACCOUNTING, SINFO, TAKEN, Answer, Slurm

from jrflow.cluster.site import (
    NoSlurmError,
    Partition,
    accounts,
    doubts,
    has_accounting,
    partitions,
    site_faults,
    too_short,
)
from jrflow.config import Config
from jrflow.config.cluster import ClusterConfig

NOT_TAKEN = "allocation failure: Invalid account or account/partition combination specified"


def test_partitions(slurm: Slurm) -> None:
    slurm.answers(sinfo=SINFO)
    assert partitions() == [
        Partition("cpu", True, frozenset(), 4, inf, 0, 2880, 30),
        Partition("gpu", False, frozenset({"a100", "2080ti"}), 16, 32, 8, 2160, 4),
        Partition("old", False, frozenset({""}), 8, 8, 2, inf, 2),
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
    slurm.answers(sinfo=f"all*|8|{gres}|1:00:00|1\n")
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


def _keys(**settings: Any) -> list[str]:
    return [fault.key for fault in site_faults(ClusterConfig.model_validate(settings))]


def test_what_slurm_takes(slurm: Slurm) -> None:
    slurm.answers(sinfo=SINFO, sbatch=Answer(err=TAKEN))
    cluster = ClusterConfig(account="lab", partition="cpu", gpu_partition="gpu", gpu_type="a100", qos="long")
    assert site_faults(cluster) == []
    assert doubts(cluster) == []
    on_cpus, on_gpus, *_ = slurm.asked("sbatch")
    assert on_cpus == (
        "--test-only --time=240 --account=lab --qos=long --partition=cpu --cpus-per-task=8 --wrap=true"
    )
    assert on_gpus == (
        "--test-only --time=240 --account=lab --qos=long --partition=gpu --gres=gpu:a100:1 --wrap=true"
    )


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        (NOT_TAKEN, ["account", "account"]),
        ("sbatch: error: invalid partition specified: cpx", ["partition", "partition"]),
        ("allocation failure: Invalid qos specification", ["qos", "qos"]),
        ("allocation failure: Invalid feature specification", ["constraint", "constraint"]),
        # All nodes are drained, or have not yet registered with a controller that has just started.
        ("allocation failure: Requested node configuration is not available", []),
        ("allocation failure: Requested nodes are busy", []),
        ("allocation failure: Unable to contact slurm controller (connect failure)", []),
        ("allocation failure: Job violates accounting/QOS policy (job submit limit)", []),
    ],
)
def test_only_what_never_becomes_right_is_refused(slurm: Slurm, said: str, keys: list[str]) -> None:
    slurm.answers(sinfo=SINFO, sbatch=Answer(err=f"sbatch: some advice\n{said}\n\n", code=1))
    cluster = ClusterConfig(gpu_partition="gpu")
    assert [fault.key for fault in site_faults(cluster)] == keys
    assert all(said in fault.text for fault in site_faults(cluster))
    assert len(doubts(cluster)) == 2 - len(keys)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"partition": "cpx"}, "partition"),
        ({"partition": "old", "cores": 9}, "cores"),
        ({"longest_job": 2881}, "longest_job"),
        ({"gpu_partition": "gpu", "longest_job": 2161}, "longest_job"),
        ({"gpu_partition": "nowhere"}, "gpu_partition"),
        ({"gpu_partition": "gpu", "gpu_type": "h100"}, "gpu_type"),
        ({"gpu_partition": "gpu", "training": {"gpus_per_node": 9}}, "training.gpus_per_node"),
        ({"gpu_partition": "gpu", "training": {"nodes": 5}}, "training.nodes"),
        ({"training": {"gpus_per_node": 1}, "partition": "cpu"}, "training.gpus_per_node"),
        ({"interface": "ib9", "simulate": "adaptive"}, "interface"),
    ],
)
def test_what_the_cluster_does_not_have(slurm: Slurm, settings: dict[str, Any], key: str) -> None:
    slurm.answers(sinfo=SINFO, sbatch=Answer(err=TAKEN))
    assert _keys(
        **{"training": {"gpus_per_node": 0 if "gpu_partition" not in settings else 1}} | settings
    ) == [key]


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("30:00", 30),
        ("1:00:00", 60),
        ("2-00:00:00", 2880),
        ("1-12:30:30", 2190.5),
        ("infinite", inf),
        ("n/a", inf),
    ],
)
def test_limits_as_sinfo_writes_them(slurm: Slurm, limit: str, minutes: float) -> None:
    slurm.answers(sinfo=f"all*|8|(null)|{limit}|1\n")
    assert partitions()[0].most_minutes == minutes


def test_a_limit_in_which_no_shard_is_finished(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    assert too_short(config, ClusterConfig(longest_job=60), 1) == []
    assert "longest_job" in too_short(config, ClusterConfig(longest_job=1, shortest_job=0), 100_000)[0]


@pytest.mark.usefixtures("slurm")
def test_there_is_no_slurm() -> None:
    with pytest.raises(NoSlurmError, match="sinfo: command not found"):
        partitions()
    with pytest.raises(NoSlurmError):
        site_faults(ClusterConfig())
    assert accounts() == []
    assert not has_accounting()


def test_no_answer_in_time(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jrflow.cluster.queue._ANSWER_WITHIN", 0.2)
    slurm.answers(sinfo=Answer(SINFO, after=1))
    with pytest.raises(NoSlurmError, match=r"sinfo did not answer within 0\.2 s"):
        partitions()
