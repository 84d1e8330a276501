"""The workflow under Slurm, and what a cluster does to its jobs: the results are those of one machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from evidence import assert_nothing_twice, assert_same, written
from pipelines import Pipeline
from site_of_tests import (
    SHARDS,
    TINY,
    Stop,
    cluster_sh,
    environment,
    jobs,
    preempt,
    shell,
    until,
)

#: Two blocks of twelve shards each, without workers, which take seconds to start.
BLOCKS: dict[str, Any] = SHARDS | {
    "execution": SHARDS["execution"] | {"backend": "in-process", "shards_per_block": 12}
}
ARCHIVE = "archives/train.json"


def assert_archive_is(pipeline: Pipeline, undisturbed: Path) -> None:
    """Byte for byte; what the workflow needs only while it runs is gone."""
    folder = pipeline.run / "archives"
    for left in folder.glob("*.blocks"):
        assert not any(left.iterdir())
        left.rmdir()
    assert_same(folder, undisturbed)


def marks_of_late_blocks(pipeline: Pipeline) -> list[Path]:
    """What blocks of a killed Snakemake leave if they end after its successor has tidied up: empty files."""
    until(lambda: not pipeline.jobs(), "the end of the blocks of the killed driver")
    return list(pipeline.run.glob("archives/*.blocks/*"))


def test_the_whole_pipeline_gives_the_numbers_of_one_machine(tmp_path: Path, here: Path) -> None:
    there = Pipeline(tmp_path, TINY)
    with there.started() as driver:
        there.ends(driver)
    assert not there.jobs(), "no job is left"
    for name in TINY["campaigns"]:
        manifests = [json.loads((run / f"archives/{name}.json").read_text()) for run in (here, there.run)]
        assert manifests[0]["files"] == manifests[1]["files"], name
    same = ["models/bilstm/weights.safetensors", "evaluation/scores.csv", "evaluation/learning_curve.csv"]
    for name in same:
        assert (there.run / name).read_bytes() == (here / name).read_bytes(), name
    assert "Coverage" in (there.run / "report.html").read_text()
    assert "Nothing to be done" in there.here(), "what the cluster has done, this machine need not do again"


def test_a_failing_block_is_reported_as_failed(tmp_path: Path, undisturbed: Path) -> None:
    """The others are done; the console says which step failed, and why. The next start does the rest."""
    pipeline = Pipeline(tmp_path, BLOCKS)
    profile = pipeline.profile / "config.yaml"
    profile.write_text(profile.read_text().replace("retries: 2", "retries: 0"))
    with pipeline.started("archives/train.blocks/design") as driver:
        pipeline.ends(driver)
    in_the_way = pipeline.run / "archives/train.zarr/source/c/13/0/0"
    in_the_way.mkdir(parents=True)
    with pipeline.started(ARCHIVE) as driver:
        said = pipeline.ends(driver, code=1)
    _, failed = said.split("FAILED: block (")
    assert "2-of-2" in failed.splitlines()[0]
    assert "Is a directory" in failed
    assert not (pipeline.run / ARCHIVE).exists()
    assert len(written(pipeline.run / "archives")) >= 12
    in_the_way.rmdir()
    with pipeline.started(ARCHIVE) as driver:
        pipeline.ends(driver)
    assert_archive_is(pipeline, undisturbed)


def test_a_cancelled_block_ends_the_run_and_is_not_submitted_again(tmp_path: Path) -> None:
    pipeline, stop = Pipeline(tmp_path, BLOCKS), Stop(tmp_path, "status/c/1")
    with pipeline.started(ARCHIVE, stop=stop) as driver:
        with stop.held(driver) as job:
            shell("scancel", job)
        said = pipeline.ends(driver, code=1, seconds=400)
    assert f"job {job} CANCELLED" in said
    assert "not tried again" in said
    assert said.count("has been submitted") == 1 + 2
    assert "jobs: block: " in said, "states of all jobs are shown"


def test_a_killed_driver_started_again_has_no_second_writer(tmp_path: Path, undisturbed: Path) -> None:
    """Blocks go on after Snakemake was killed; those it submits again wait for them."""
    pipeline, stop = Pipeline(tmp_path, BLOCKS), Stop(tmp_path, "status/c/2")
    folder = pipeline.run / "archives"
    with pipeline.started(ARCHIVE, stop=stop) as driver, ExitStack() as stack:
        with stop.held(driver) as job:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
            done = written(folder)
            shell(*pipeline.command(), "--unlock")
            again = stack.enter_context(pipeline.started(ARCHIVE))
            until(lambda: "waiting for process" in pipeline.log_of_blocks(), "a block that waits")
            assert job in pipeline.running(), "the job of the killed driver goes on"
        pipeline.ends(again)
    assert_nothing_twice(done, folder)
    for mark in marks_of_late_blocks(pipeline):
        assert mark.stat().st_size == 0
        mark.unlink()
    assert_archive_is(pipeline, undisturbed)


def test_an_interrupted_driver_leaves_no_job(tmp_path: Path) -> None:
    pipeline, stop = Pipeline(tmp_path, BLOCKS), Stop(tmp_path, "status/c/1")
    with pipeline.started(ARCHIVE, stop=stop) as driver, stop.held(driver):
        driver.send_signal(signal.SIGINT)
        pipeline.ends(driver, code=1, seconds=240)
        until(lambda: not pipeline.jobs(), "the end of all its jobs", 180)


def _node_dies(pipeline: Pipeline) -> None:
    cluster_sh("crash", "f1")
    try:
        until(lambda: not pipeline.running(), "the job back in the queue")
    finally:
        cluster_sh("revive", "f1")


@pytest.mark.parametrize(
    ("partition", "disturb"),
    [("spot", lambda _: preempt()), ("fragile", _node_dies)],
    ids=["preempted", "node-dies"],
)
def test_a_job_goes_back_into_the_queue(
    partition: str, disturb: Callable[[Pipeline], object], tmp_path: Path, undisturbed: Path
) -> None:
    pipeline, stop = Pipeline(tmp_path, SHARDS, partition=partition), Stop(tmp_path, "status/c/2")
    folder = pipeline.run / "archives"
    with pipeline.started(ARCHIVE, stop=stop) as driver:
        with stop.held(driver) as job:
            done = written(folder)
            disturb(pipeline)
            until(lambda: job not in pipeline.running(), "the job off its node")
        pipeline.ends(driver)
    assert_nothing_twice(done, folder)
    assert_archive_is(pipeline, undisturbed)


def test_out_of_time_a_job_is_submitted_again(tmp_path: Path) -> None:
    """The limit is lowered under way."""
    pipeline, stop = Pipeline(tmp_path, SHARDS, cores=1), Stop(tmp_path, "status/c/1")
    folder = pipeline.run / "archives"
    with pipeline.started(ARCHIVE, stop=stop) as driver:
        with stop.held(driver) as job:
            shell("scontrol", "update", f"JobId={job}", "TimeLimit=1")
            until(lambda: "Trying to restart job" in pipeline.said(), "the end of its time")
        done = written(folder)
        pipeline.ends(driver)
    assert_nothing_twice(done, folder)
    assert "NOT SOUND" not in shell("jrflow", "archive", "verify", folder / "train.zarr", "--simulate", "3")


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"account": "nobody"}, "Invalid account"), ({"partition": "nowhere"}, "nowhere")],
    ids=["account", "partition"],
)
def test_what_slurm_refuses_ends_the_run_with_its_words(
    settings: dict[str, str], words: str, tmp_path: Path
) -> None:
    pipeline = Pipeline(tmp_path, SHARDS, **settings)
    with pipeline.started(ARCHIVE) as driver:
        assert words in pipeline.ends(driver, code=1, seconds=400)


def test_a_driver_that_is_a_job_itself(tmp_path: Path, undisturbed: Path) -> None:
    """Cancelled, it cancels its jobs; submitted again at once, it waits for its end and does the rest."""
    pipeline, stop = Pipeline(tmp_path, SHARDS), Stop(tmp_path, "status/c/1")
    submit = ["jrflow", "driver", "--cluster", pipeline.cluster, "--log", tmp_path / "driver-%j.log", "--"]
    submit += pipeline.command(ARCHIVE)

    def submitted(**told: str) -> str:
        return shell(*submit, **told).split("job ")[1].split(":")[0]

    first = submitted(**stop.environment)
    with stop.held() as job:
        shell("scancel", "--batch", "--signal=TERM", first)
        second = submitted()
        until(lambda: job not in pipeline.running(), "the end of the first driver's job")
    until(lambda: second not in jobs("jrflow-driver"), "the end of the second driver", 900)
    assert "CANCELLED" in shell("sacct", "-X", "-n", "-o", "State", "-j", job)
    assert (pipeline.run / ARCHIVE).exists(), (tmp_path / f"driver-{second}.log").read_text()
    assert_archive_is(pipeline, undisturbed)


def test_an_installed_profile_works_from_anywhere(tmp_path: Path) -> None:
    """As in the how-to: options, a check by Slurm, and snakemake --profile slurm in another folder."""
    pipeline = Pipeline(tmp_path, TINY)
    home = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
    words = [
        "--account=lab", "--partition=cpu", "--gpu-partition=gpu", "--interface=lo", "--cores=2", "--gpus=0",
        "--scratch=$TMPDIR",
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", home["XDG_CONFIG_HOME"])
        refused = shell("jrflow", "profile", "install", "slurm", *words, "--account=nobody", check=False)
        assert "Invalid account" in refused
        assert not (tmp_path / "home/snakemake").exists(), "nothing was written"
        assert "snakemake --profile slurm" in shell("jrflow", "profile", "install", "slurm", *words)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        command = [word for word in pipeline.command("archives/oat.json") if "--profile=" not in word]
        shell(*command, "--profile=slurm", "--slurm-init-seconds-before-status-checks=1")
    assert (pipeline.run / "archives/oat.json").exists()
    assert environment().get("XDG_CONFIG_HOME") != home["XDG_CONFIG_HOME"]


@pytest.mark.alone
def test_a_drained_node_is_a_warning(tmp_path: Path) -> None:
    """Slurm would queue the jobs, as after a restart of the controller, before its nodes have registered."""
    words = ["--account=lab", "--partition=fragile", "--gpus=0", "--cores=2"]
    shell("scontrol", "update", "NodeName=f1", "State=drain", "Reason=test")
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("XDG_CONFIG_HOME", str(tmp_path))
            said = shell("jrflow", "profile", "install", "slurm", *words)
    finally:
        shell("scontrol", "update", "NodeName=f1", "State=resume")
    assert "warning: jobs may have to wait" in said
    assert (tmp_path / "snakemake/slurm/cluster.yaml").exists()


@pytest.mark.alone
def test_an_outage_of_the_controller_is_survived(tmp_path: Path, undisturbed: Path) -> None:
    """45 s without Slurm: Snakemake's job and a training's launcher, both waiting."""
    pipeline, stop = Pipeline(tmp_path, SHARDS), Stop(tmp_path, "status/c/2")
    with pipeline.started(ARCHIVE, stop=stop) as driver:
        with stop.held(driver):
            cluster_sh("outage", "begin")
            try:
                with pytest.raises(AssertionError):
                    until(lambda: driver.poll() is not None, "the driver does not give up", 45)
            finally:
                cluster_sh("outage", "end")
        pipeline.ends(driver)
    assert_archive_is(pipeline, undisturbed)
