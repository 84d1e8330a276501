"""Waiting for jobs and explaining their ends, with a clock of the test's own and files as jobs leave them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from pathlib import Path

import pytest
import submitit
from submitit.slurm.slurm import SlurmJob

from jrflow.cluster.outcome import FinalError, FruitlessError, JobFailedError
from jrflow.cluster.queue import JobState, SlurmAwayError
from jrflow.cluster.task import Request
from jrflow.cluster.waiting import Clock, Waiting
from jrflow.config.cluster import ClusterConfig

SLURM = ClusterConfig(poll=10, accounting=False)
LOCAL = ClusterConfig(cluster="local", poll=10)
NO_PROGRESS = (
    "Traceback ...\njrflow.cluster.task.NoProgressError: 10 min passed before any work was finished\n"
)
DISK_FULL = (
    "Traceback ...\njrflow.archive.errors.DiskFullError: train.zarr: no space left for it: 3 GB are missing\n"
)


class Story:
    """A job whose states follow one another, one for each question; the last one stays."""

    def __init__(self, folder: Path, states: Iterable[JobState | Exception | None], ranks: int = 1) -> None:
        self.folder = folder / "17"
        self.folder.mkdir()
        self.job: submitit.Job[None] = SlurmJob(folder=folder / "%j", job_id="17", tasks=list(range(ranks)))
        self.states, self.asked, self.time = list(states), 0, 0.0
        self.said = io.StringIO()
        self.request = Request("jrflow-x", 10, 500, ranks_per_node=ranks)

    def leaves(self, rank: int = 0, error: str | None = None, log: str = "") -> Story:
        """Let a rank leave its result, or only a log."""
        if error is not None or not log:
            result = ("success", None) if error is None else ("error", error)
            (self.folder / f"17_{rank}_result.pkl").write_bytes(pickle.dumps(result))
        (self.folder / f"17_{rank}_log.err").write_text(log)
        return self

    def _ask(self) -> dict[str, JobState]:
        state = self.states[min(self.asked, len(self.states) - 1)]
        self.asked += 1
        if isinstance(state, Exception):
            raise state
        return {} if state is None else {"17": state}

    def _sleep(self, seconds: float) -> None:
        self.time += seconds

    def goes(self, cluster: ClusterConfig = SLURM, *, progressed: bool = True) -> float:
        """Wait for it; the time that this took, s."""
        clock = Clock(lambda: self.time, self._sleep)
        Waiting(
            [self.job], self.request, cluster, self.said, self._ask, lambda: progressed, clock
        ).wait(lambda: None)  # fmt: skip
        return self.time

    def fails(
        self, kind: type[JobFailedError], cluster: ClusterConfig = SLURM, *, progressed: bool = True
    ) -> str:
        """Wait for it; what it is said to have failed of."""
        with pytest.raises(JobFailedError) as failed:
            self.goes(cluster, progressed=progressed)
        assert type(failed.value) is kind
        return str(failed.value)


def state(name: str, reason: str = "None") -> JobState:
    return JobState("17", name, reason)


RUNNING, DONE = state("RUNNING"), state("COMPLETED")


def test_states_are_reported_once_and_again_after_a_while(tmp_path: Path) -> None:
    pending = state("PENDING", "Priority")
    story = Story(tmp_path, [pending] * 40 + [RUNNING, DONE]).leaves()
    assert story.goes() == pytest.approx(41 * 10)
    lines = story.said.getvalue().splitlines()
    assert lines == [
        *["jrflow-x: job 17 PENDING (Priority)"] * 2, "jrflow-x: job 17 RUNNING", "jrflow-x: job 17 done"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("bilstm: epoch 3 of 9, 12 s to go\n", "epoch 3 of 9"),
        ("bilstm: epoch 3 of 9, 12 s to go\nKeyError: '/mp-x'\n", "epoch 3 of 9"),
        ("Exception ignored in: x\nKeyError: '/mp-x'\n", ""),
        ("jrflow: interrupted; start the same command again to go on\n", ""),
    ],
)
def test_only_progress_is_shown_as_progress(tmp_path: Path, log: str, shown: str) -> None:
    story = Story(tmp_path, [RUNNING, DONE]).leaves()
    (story.folder / "17_0_log.err").write_text(log)
    story.goes()
    line = story.said.getvalue().splitlines()[0]
    assert "KeyError" not in line
    assert "interrupted" not in line
    assert shown in line


def test_while_slurm_is_away_nothing_is_given_up(tmp_path: Path) -> None:
    story = Story(tmp_path, [RUNNING, *[SlurmAwayError("no contact")] * 100, DONE]).leaves()
    assert story.goes() > 1000
    assert "jobs are not affected" in story.said.getvalue()


@pytest.mark.parametrize("name", ["PREEMPTED", "NODE_FAIL"])
def test_what_may_return_to_the_queue_is_waited_for(tmp_path: Path, name: str) -> None:
    back = [RUNNING, *[state(name)] * 8, state("PENDING", "BeginTime"), RUNNING, DONE]
    Story(tmp_path, back).leaves().goes()


def test_what_does_not_return_is_given_up(tmp_path: Path) -> None:
    story = Story(tmp_path, [RUNNING, state("NODE_FAIL")])
    assert "its node failed" in story.fails(JobFailedError)
    assert story.time == pytest.approx(100, abs=15)


def test_limits_may_be_changed_while_a_job_cannot_start(tmp_path: Path) -> None:
    never = state("PENDING", "PartitionTimeLimit")
    Story(tmp_path, [*[never] * 5, RUNNING, DONE]).leaves().goes()


def test_a_job_that_never_starts_is_given_up(tmp_path: Path) -> None:
    story = Story(tmp_path, [state("PENDING", "PartitionTimeLimit")])
    assert "can never start" in story.fails(JobFailedError)
    assert story.time <= 80


def test_all_ranks_must_succeed(tmp_path: Path) -> None:
    story = Story(tmp_path, [RUNNING, DONE], ranks=2).leaves(0)
    assert "COMPLETED" in story.fails(JobFailedError)


def test_a_result_may_come_late(tmp_path: Path) -> None:
    story = Story(tmp_path, [RUNNING, *[DONE] * 20])
    ask = story._ask
    story._ask = lambda: (story.leaves() if story.asked == 6 else story) and ask()  # type: ignore[method-assign]
    assert story.goes() == pytest.approx(60)


@pytest.mark.parametrize(
    ("ending", "error", "log", "progressed", "kind"),
    [
        # Somebody's will is done.
        ("CANCELLED", None, "", True, FinalError),
        ("CANCELLED", None, "", False, FinalError),
        # The next attempt would find the disk as full.
        ("FAILED", DISK_FULL, "", True, FinalError),
        ("FAILED", None, "OSError: [Errno 28] No space left on device: 'x'\n", True, FinalError),
        ("FAILED", None, "OSError: [Errno 122] Disk quota exceeded\n", True, FinalError),
        # Its time was over before a part of the work was.
        ("FAILED", NO_PROGRESS, "", True, FruitlessError),
        ("TIMEOUT", None, "slurmstepd: *** CANCELLED DUE TO TIME LIMIT ***\n", False, FruitlessError),
        ("FAILED", None, "srun: error: c1: task 0: User defined signal 2\n", False, FruitlessError),
        ("TIMEOUT", None, "", False, FruitlessError),
        # With a part of it done, another start does more.
        ("TIMEOUT", None, "", True, JobFailedError),
        ("FAILED", "KeyError: 'x'", "", False, JobFailedError),
        ("OUT_OF_MEMORY", None, "", False, JobFailedError),
    ],
)  # fmt: skip
def test_kinds_of_failures(
    tmp_path: Path, ending: str, error: str | None, log: str, progressed: bool, kind: type[JobFailedError]
) -> None:
    story = Story(tmp_path, [RUNNING, state(ending)])
    if error or log:
        story.leaves(error=error, log=log)
    story.fails(kind, progressed=progressed)


def test_where_a_rank_left_nothing_srun_is_heard(tmp_path: Path) -> None:
    story = Story(tmp_path, [RUNNING, state("FAILED", "NonZeroExitCode")])
    said = story.leaves(log="submitit INFO (x) - Starting\nsrun: error: c1: task 0: Killed\n").fails(
        JobFailedError
    )
    assert "task 0: Killed" in said
    assert "submitit INFO" not in said


def test_errors_of_our_own_need_no_traceback(tmp_path: Path) -> None:
    trace = "Traceback (most recent call last):\n" + "  File x\n" * 80 + DISK_FULL.split("\n", 1)[1]
    said = Story(tmp_path, [RUNNING, state("FAILED")]).leaves(error=trace).fails(FinalError)
    assert "3 GB are missing" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 8


def test_other_errors_keep_theirs(tmp_path: Path) -> None:
    trace = f"{DISK_FULL}\nDuring handling:\n\nTraceback (most recent call last):\n  File y\nKeyError: 'y'\n"
    assert "File y" in Story(tmp_path, [RUNNING, state("FAILED")]).leaves(error=trace).fails(FinalError)


def test_of_this_machine_the_reason_is_known_at_once(tmp_path: Path) -> None:
    """A short limit ends the processes without a result: that is no success, and the log says why."""
    log = "submitit WARNING (x) - Caught signal SIGUSR2 on host: this job is timed-out.\n"
    story = Story(tmp_path, [RUNNING, state("FAILED", "ended without a result")]).leaves(log=log)
    said = story.fails(FruitlessError, LOCAL, progressed=False)
    assert "time limit of 10 min" in said
    assert story.time <= 20
