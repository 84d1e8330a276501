"""Descriptions of a cluster: every fault is told, and what is written is read again as it was meant."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from jrflow.config.cluster import HERE, ClusterConfig, load_cluster
from jrflow.config.fault import ConfigError
from jrflow.config.profile import cluster_yaml, snakemake_profile

ROOT = Path(__file__).parents[2]

#: What words of a cluster's own may look like.
WORDS = [
    "a100", "1e3", "123", "0x1F", "on", "null", "~", "-", "a:b", "x:", "#x", "a#b", "@x", "%x", "!x", "=",
    "[r1*2]", "(a)", "a?", "{x}", "a\\b", "é", "1:30", "2020-01-01",
]  # fmt: skip


def _file(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load_cluster(_file(folder, text))
    return str(refused.value)


def test_no_file_is_this_machine_alone() -> None:
    assert load_cluster(None) is HERE
    assert HERE.cluster == "in-process"


def test_every_fault_at_once_with_its_line(tmp_path: Path) -> None:
    said = _refused(
        tmp_path,
        "cores: many\n"
        "partitoin: cpu\n"
        "account: 'my lab'\n"
        "nodes: yes\n"
        "nodes: 2\n"
        "training:\n"
        "  gpus_per_nod: 2\n"
        "poll: 0\n",
    )
    path = tmp_path / "cluster.yaml"
    lines = said.splitlines()
    assert lines[0] == f"{path}: 6 errors"
    assert f"  {path}:1: cores: expected a valid integer" in lines[1]
    assert f"  {path}:2: partitoin: unknown key; did you mean 'partition'?" in said
    assert f"  {path}:3: account: expected Account that jobs are charged to" in said
    assert f"  {path}:5: nodes: given twice, first at line 4" in said
    assert f"  {path}:7: training.gpus_per_nod: unknown key; did you mean 'gpus_per_node'?" in said
    assert f"  {path}:8: poll: expected a number greater than 0, received 0" in said


@pytest.mark.parametrize("key", ["cores", "nodes", "poll"])
def test_yes_is_no_number(tmp_path: Path, key: str) -> None:
    assert f"{key}: expected a number, received true (YAML reads yes" in _refused(tmp_path, f"{key}: yes\n")


def test_yes_is_no_number_of_gpus(tmp_path: Path) -> None:
    assert "gpus_per_node: expected a number" in _refused(tmp_path, "training: {gpus_per_node: no}\n")


def test_the_shortest_job_is_no_longer_than_the_longest(tmp_path: Path) -> None:
    said = _refused(tmp_path, "shortest_job: 20\nlongest_job: 10\n")
    assert "shortest_job (20 min) is longer than longest_job (10 min)" in said


@pytest.mark.parametrize("key", ["account", "partition", "gpu_type", "qos", "constraint", "interface"])
@pytest.mark.parametrize("word", ["a b", "a;reboot", "$(id)", "`id`", "a>b", "a'b", 'a"b', ""])
def test_what_is_more_than_a_word_is_refused(tmp_path: Path, key: str, word: str) -> None:
    said = _refused(tmp_path, yaml.safe_dump({key: word}))
    assert f"cluster.yaml:1: {key}: expected " in said


def test_features_may_be_combined(tmp_path: Path) -> None:
    assert load_cluster(_file(tmp_path, "constraint: a100|h100")).constraint == "a100|h100"
    assert "partition: expected" in _refused(tmp_path, "partition: cpu|gpu")


def test_a_missing_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file.*'jrflow profile install slurm' writes one"):
        load_cluster(tmp_path / "absent.yaml")


def test_an_empty_file_names_it_too(tmp_path: Path) -> None:
    assert "the file is empty; 'jrflow profile install slurm' writes one" in _refused(tmp_path, "# nothing\n")


@pytest.mark.parametrize(
    ("settings", "gres", "of_one"),
    [
        ({}, "gpu:1", "gpu:1"),
        ({"gpu_type": "a100", "training": {"gpus_per_node": 4}}, "gpu:a100:4", "gpu:a100:1"),
        ({"training": {"gpus_per_node": 0}}, None, None),
    ],
)
def test_gres(settings: dict[str, Any], gres: str | None, of_one: str | None) -> None:
    cluster = ClusterConfig.model_validate(settings)
    assert cluster.gres() == gres
    assert cluster.gres(1) == of_one


@pytest.mark.parametrize(
    ("training", "ranks"),
    [({}, 1), ({"gpus_per_node": 4}, 4), ({"gpus_per_node": 0}, 1), ({"ranks_per_node": 3}, 3)],
)
def test_one_rank_for_each_gpu(training: dict[str, int], ranks: int) -> None:
    assert ClusterConfig.model_validate({"training": training}).training.ranks == ranks


def test_the_profile_of_the_repository() -> None:
    folder = ROOT / "profiles" / "slurm"
    assert load_cluster(folder / "cluster.yaml") == ClusterConfig()
    profile = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert profile["executor"] == "slurm"
    assert profile["slurm-status-command"] == "sacct"
    assert profile["config"] == {"cluster": "profiles/slurm/cluster.yaml"}
    assert profile["default-resources"] == {"runtime": 10, "mem_mb": 2000}


def test_what_the_profile_takes_from_the_cluster() -> None:
    cluster = ClusterConfig(accounting=False, most_jobs=7, poll=0.2, account="lab", qos="long")
    profile = yaml.safe_load(snakemake_profile(cluster, "site", "/home/a b/cluster.yaml"))
    assert profile["jobs"] == 7
    assert profile["slurm-status-command"] == "squeue"
    assert profile["seconds-between-status-checks"] == 1
    assert profile["config"]["cluster"] == "/home/a b/cluster.yaml"
    resources = profile["default-resources"]
    assert ast.literal_eval(resources["slurm_account"]) == "lab"
    assert ast.literal_eval(resources["slurm_extra"]) == "--qos=long"
    assert "slurm_partition" not in resources


@pytest.mark.parametrize("word", WORDS)
def test_words_keep_their_meaning(tmp_path: Path, word: str) -> None:
    cluster = ClusterConfig(
        account=word,
        partition=word,
        constraint=word,
        scratch=f"/tmp/{word}/$X",
        setup=(f"module load {word}",),
    )
    assert load_cluster(_file(tmp_path, cluster_yaml(cluster))) == cluster
    resources = yaml.safe_load(snakemake_profile(cluster, "slurm", f"/x/{word}: y"))["default-resources"]
    # Snakemake evaluates them as Python, and the executor gives slurm_extra to a shell.
    assert ast.literal_eval(resources["slurm_partition"]) == word
    assert shlex.split(ast.literal_eval(resources["slurm_extra"])) == [f"--constraint={word}"]


@pytest.mark.parametrize("path", ["/x/a: b", "/x/#1", "/x/ #1", "~/a", "/é/ü"])
def test_the_path_of_the_cluster_may_be_odd(path: str) -> None:
    assert yaml.safe_load(snakemake_profile(HERE, "slurm", path))["config"] == {"cluster": path}
