"""Trainings as jobs, and what a cluster does to jobs: the weights are those of an undisturbed training."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from site_of_tests import (
    ROOT,
    assert_none_left,
    cluster_sh,
    environment,
    jobs,
    once,
    preempt,
    running,
    shell,
    until,
    write_cluster,
)
from trainings import Training, driven, ends, hears, processes_of

MakeTraining = Callable[..., Training]


@pytest.fixture
def make(tmp_path: Path, here: Path) -> MakeTraining:
    return lambda **settings: Training(tmp_path, here, **settings)


@pytest.fixture(scope="session")
def undisturbed(here: Path) -> Callable[[int], str]:
    """Weights of a training that nothing disturbs, with so many ranks, in processes of this machine."""

    def weights(n_ranks: int) -> str:
        folder = here.parents[1] / f"undisturbed-{n_ranks}"
        with once(folder) as is_first:
            training = Training(folder, here, cluster="local", training={"ranks_per_node": n_ranks})
            if is_first:
                ends(training.start())
        return training.weights()

    return weights


def test_two_ranks_on_gpus_that_are_allotted(make: MakeTraining, undisturbed: Callable[[int], str]) -> None:
    """The devices of the test cluster are none that PyTorch could use, which is said."""
    training = make(gpu_partition="gpu", training={"gpus_per_node": 2})
    with driven(training) as driver:
        said = ends(driver)
        assert "RUNNING on g1" in said
        assert "epoch" in said, "the launcher shows what the ranks say"
        folder = training.model.parents[1] / "logs/jobs/train-bilstm"
        logs = "".join(path.read_text() for path in folder.glob("*/*_log.err"))
        assert "Slurm gave this job GPU 0,1, but PyTorch" in logs
        assert "rank 1 of 2 on cpu" in logs
        assert training.weights() == undisturbed(2)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not list(folder.rglob("*.pkl")), "what could be executed is gone"
    assert_none_left(training.jobs)


def test_preempted_it_goes_back_into_the_queue(make: MakeTraining, undisturbed: Callable[[int], str]) -> None:
    training = make(partition="spot", training={"ranks_per_node": 2})
    stop = training.stop(3)
    with driven(training, stop) as driver:
        with stop.held(driver) as job:  # until Slurm wakes it with its signal
            preempt()
            until(lambda: jobs(training.jobs).get(job) != "RUNNING", "the job off its node")
        said = ends(driver)
        assert f"job {job} PENDING" in said.split("RUNNING", 1)[1]
        assert training.weights() == undisturbed(2)


def test_out_of_time_it_goes_back_into_the_queue(make: MakeTraining) -> None:
    """The limit is lowered under way, and raised again for the next start: ten minutes would be long."""
    training = make()
    stop = training.stop(3)
    with driven(training, stop) as driver:
        with stop.held(driver) as job:  # until Slurm wakes it with its signal
            shell("scontrol", "update", f"JobId={job}", "TimeLimit=1")
            until(lambda: jobs(training.jobs).get(job) == "PENDING", "the job back in the queue")
        shell("scontrol", "update", f"JobId={job}", "TimeLimit=10")
        ends(driver)
    history = (training.model / "history.csv").read_text().splitlines()
    epochs = [int(line.split(",")[0]) for line in history[1:]]
    assert epochs == list(range(1, len(epochs) + 1)), "no epoch twice, none left out"


def test_its_node_dies(make: MakeTraining, undisturbed: Callable[[int], str]) -> None:
    training = make(partition="brittle")
    stop = training.stop(3)
    with driven(training, stop) as driver:
        stop.wait(driver)
        cluster_sh("crash", "b1")
        try:
            until(lambda: jobs(training.jobs) and not running(training.jobs), "the job back in the queue")
        finally:
            cluster_sh("revive", "b1")
        ends(driver)
        assert training.weights() == undisturbed(1)


def test_cancelled_it_says_so_and_goes_on_when_started_again(
    make: MakeTraining, undisturbed: Callable[[int], str]
) -> None:
    training = make()
    # A training goes on when Slurm asks it to end, and this one would be done before it is killed.
    stop = training.stop(3, for_good=True)
    with driven(training, stop) as driver, stop.held(driver) as job:
        shell("scancel", job)
        assert "CANCELLED" in ends(driver, code=1)
    before = training.epoch()
    with driven(training) as driver:
        ends(driver)
    assert before >= 3
    assert training.weights() == undisturbed(1)


def test_a_killed_rank_ends_all_and_the_rest_is_done_when_started_again(
    make: MakeTraining, undisturbed: Callable[[int], str]
) -> None:
    training = make(training={"ranks_per_node": 2})
    stop = training.stop(3)
    with driven(training, stop) as driver:
        with stop.held(driver) as job:
            processes_of(job, rank=1)[0].kill()
        said = ends(driver, code=1)
        assert "FAILED" in said
        until(lambda: not processes_of(job, 0), "the end of the other rank", 120)
    with driven(training) as driver:
        ends(driver)
    assert training.weights() == undisturbed(2)


def test_a_rank_that_raises_is_shown_first(tmp_path: Path) -> None:
    said = _launched(tmp_path, "one_fails_while_others_wait", 3)
    first = said.split("first error, of rank 1 of 3:")[1]
    assert "FileNotFoundError: no such file: the second rank's share" in first.split("end of")[0]
    assert len(list(tmp_path.glob("started-*"))) == 3


def test_a_rank_that_hangs_is_waited_for_within_a_bound(tmp_path: Path) -> None:
    said = _launched(tmp_path, "one_hangs", 2)
    assert "first error, of rank 0 of 2:" in said
    assert_none_left(f"jrflow-{tmp_path.name}")


def test_starts_that_finish_nothing_are_given_up(tmp_path: Path) -> None:
    """A minute is too short for it: two starts, and a plain message."""
    said = _launched(tmp_path, "never_done", 1, minutes=1, longest_job=1)
    assert "2 starts in a row finished nothing" in said
    assert "raise longest_job in cluster.yaml (now 1 min)" in said
    assert "Traceback" not in said
    assert len(list(tmp_path.glob("jobs/*/*_log.err"))) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"account": "nobody"}, "Invalid account or account/partition combination"),
        ({"partition": "nowhere"}, "Invalid partition name specified"),
        ({"gpu_type": "a100", "training": {"gpus_per_node": 1}}, "node configuration is not available"),
    ],
    ids=["account", "partition", "other-gpus"],
)
def test_what_slurm_refuses_is_told_with_its_words(
    make: MakeTraining, settings: dict[str, Any], words: str
) -> None:
    training = make(**{"gpu_partition": "gpu"} | settings)
    said = ends(training.start(), code=1)
    assert f"Slurm refused {training.jobs}: " in said
    assert words in said
    assert "requested: " in said
    assert "jrflow profile install slurm" in said
    assert not training.model.exists()


def test_more_than_any_node_has_is_not_waited_for(make: MakeTraining) -> None:
    """Slurm takes such a job, and would let it wait for ever."""
    training = make(gpu_partition="gpu", training={"gpus_per_node": 9})
    said = ends(training.start(), code=1)
    assert "PENDING (PartitionConfig): it can never start" in said
    assert "change cluster.yaml" in said
    assert_none_left(training.jobs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_driver_leaves_no_job(make: MakeTraining, number: signal.Signals) -> None:
    training = make()
    stop = training.stop(1)
    with driven(training, stop) as driver, stop.held(driver):
        driver.send_signal(number)
        assert "cancelled" in ends(driver, code=130, seconds=180)
        assert_none_left(training.jobs)


def test_after_a_killed_driver_the_job_is_joined(
    make: MakeTraining, undisturbed: Callable[[int], str]
) -> None:
    training = make()
    stop = training.stop(2)
    with driven(training, stop) as driver:
        with stop.held(driver) as job:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            again = training.start()
            hears(again, f"still active, joined: job {job} RUNNING")
        ends(again)
        assert training.weights() == undisturbed(1)


def _launched(folder: Path, function: str, n_ranks: int, minutes: int = 5, **settings: Any) -> str:
    """What the launcher raises when ranks of a job call a function of ranks.py."""
    program = f"""
import sys
from pathlib import Path
from jrflow.cluster.launcher import launch
from jrflow.cluster.outcome import JobFailedError
from jrflow.cluster.task import Request, Task
from jrflow.config.cluster import load_cluster
from ranks import {function}
folder = Path({str(folder)!r})
request = Request("jrflow-{folder.name}", {minutes}, 1000, ranks_per_node={n_ranks})
try:
    task = Task({function}, (folder,), (folder / "finished",))
    launch([task], request, load_cluster(folder / "cluster.yaml"), folder / "jobs")
except JobFailedError as error:
    sys.exit(str(error))
"""
    write_cluster(folder, **settings)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=500, check=False,
        env=environment(PYTHONPATH=str(ROOT / "tests/slurm")),
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr
