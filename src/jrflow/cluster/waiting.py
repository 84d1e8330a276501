"""Wait for jobs: every change of their states is reported, and every wait ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

import submitit

from jrflow.cluster.outcome import failure, progress_line, rank_outcomes
from jrflow.cluster.queue import JobState, SlurmAwayError, accounted_state
from jrflow.cluster.task import Request
from jrflow.config.cluster import ClusterConfig

#: Longest delay of a shared file system until it shows the result of a job that has ended. Also the longest
#: delay of Slurm until it requeues a job that was preempted or whose node failed, s.
_SETTLES_WITHIN = 90.0
#: A job fails if Slurm reports for more than this number of polls that it can never start. One report is not
#: enough, because an administrator may be changing limits.
_HOPELESS_AFTER = 6
#: Time after which an unchanged state is reported again, s.
_TELL_EVERY = 300.0
_TICK = 0.2  # longest delay until an interruption is noticed, s

States = Mapping[str, JobState]


@dataclass(frozen=True)
class Clock:
    """Functions that return the time and wait; tests replace them."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Waiting:
    """Wait for jobs until they end.

    Parameters
    ----------
    jobs
        Submitted jobs.
    request
        Resources that the jobs requested.
    cluster
        Description of the cluster, with the time between two queries.
    progress
        Stream for states; None for no output.
    ask
        Function that returns the states of jobs by job id.
    progressed
        Function that says whether any work was finished since the jobs were submitted.
    clock
        Functions that return the time and wait.
    """

    def __init__(
        self,
        jobs: Sequence[submitit.Job[None]],
        request: Request,
        cluster: ClusterConfig,
        progress: TextIO | None,
        ask: Callable[[], States],
        progressed: Callable[[], bool] = lambda: True,
        clock: Clock = Clock(),
    ) -> None:
        self._jobs = {str(job.job_id): job for job in jobs}
        self._request, self._cluster, self._progress = request, cluster, progress
        self._ask, self._progressed, self._clock = ask, progressed, clock
        self._ended: dict[str, float] = {}
        self._hopeless: dict[str, float] = {}
        self._told: dict[str, tuple[str, float]] = {}

    def wait(self, check_interrupted: Callable[[], None]) -> None:
        """Return when all jobs have succeeded.

        Parameters
        ----------
        check_interrupted
            Function that raises if the process was interrupted; called several times per second.

        Raises
        ------
        JobFailedError
            As soon as one job has failed.
        """
        unfinished = dict(self._jobs)
        while unfinished:
            states = self._states()
            for job_id in [*unfinished] if states is not None else []:
                state = (states or {}).get(job_id)
                if self._has_succeeded(unfinished[job_id], state):
                    self._tell(job_id, f"job {job_id} done")
                    del unfinished[job_id]
                elif self._has_failed(unfinished[job_id], state):
                    self._fail(unfinished[job_id], state)
                elif state is not None:
                    self._tell(job_id, str(state), self._how_far(job_id, state))
            self._sleep(self._cluster.poll if unfinished else 0, check_interrupted)

    def _states(self) -> States | None:
        """States by job id; None if Slurm does not answer: then the last known states still apply."""
        try:
            return self._ask()
        except SlurmAwayError as error:
            self._tell("Slurm", f"no answer; jobs are not affected, asking again: {error}")
            return None

    def _has_succeeded(self, job: submitit.Job[None], state: JobState | None) -> bool:
        if state is not None and state.under_way:
            return False
        outcomes = rank_outcomes(job, self._request.n_ranks)
        return len([outcome for outcome in outcomes if outcome.error is None]) == self._request.n_ranks

    def _has_failed(self, job: submitit.Job[None], state: JobState | None) -> bool:
        """Whether a job has failed and its state can no longer change."""
        job_id, now = str(job.job_id), self._clock.now()
        if state is not None and state.never_starts:
            return now - self._hopeless.setdefault(job_id, now) > _HOPELESS_AFTER * self._cluster.poll
        self._hopeless.pop(job_id, None)
        if state is not None and state.under_way:
            self._ended.pop(job_id, None)
            # If one rank fails, Slurm ends the other ranks; on this machine jrflow must do it.
            return self._cluster.cluster == "local" and self._has_error(job)
        since = now - self._ended.setdefault(job_id, now)
        if state is not None and state.may_return:
            return since > _SETTLES_WITHIN
        return self._has_error(job) or since > self._settles_within(state)

    def _settles_within(self, state: JobState | None) -> float:
        """Time in which results may still appear after a job has ended, s."""
        if self._cluster.cluster == "local":
            return 0.0  # the files are on this machine
        was_ended = state is not None and state.state != "COMPLETED"
        return min(_SETTLES_WITHIN, 2 * self._cluster.poll) if was_ended else _SETTLES_WITHIN

    def _has_error(self, job: submitit.Job[None]) -> bool:
        return any(outcome.error for outcome in rank_outcomes(job, self._request.n_ranks))

    def _fail(self, job: submitit.Job[None], state: JobState | None) -> None:
        if state is None and self._cluster.cluster == "slurm" and self._cluster.accounting:
            state = accounted_state(str(job.job_id))
        raise failure(self._request, job, state, progressed=self._progressed())

    def _how_far(self, job_id: str, state: JobState) -> str:
        return progress_line(self._jobs[job_id]) if state.state == "RUNNING" else ""

    def _tell(self, about: str, text: str, how_far: str = "") -> None:
        """Report a change of state. A longer run time alone is not a change."""
        essence = text.rsplit(",", 1)[0] + how_far
        known, told = self._told.get(about, ("", 0.0))
        now = self._clock.now()
        if self._progress is not None and (essence != known or now - told > _TELL_EVERY):
            self._told[about] = (essence, now)
            line = f"{self._request.name}: {text}{f': {how_far}' if how_far else ''}"
            print(line, file=self._progress, flush=True)

    def _sleep(self, seconds: float, check_interrupted: Callable[[], None]) -> None:
        end = self._clock.now() + seconds
        check_interrupted()
        while self._clock.now() < end:
            self._clock.sleep(min(_TICK, max(0.0, end - self._clock.now())))
            check_interrupted()


def states_here(jobs: Sequence[submitit.Job[None]]) -> States:
    """States of jobs on this machine, by job id."""
    return {str(job.job_id): _local_state(job) for job in jobs}


def _local_state(job: submitit.Job[None]) -> JobState:
    """State of a job on this machine: it runs, or it has ended with or without a result file."""
    if job.state == "RUNNING":
        return JobState(str(job.job_id), "RUNNING")
    has_result = job.paths.result_pickle.exists()
    return JobState(str(job.job_id), *(["COMPLETED"] if has_result else ["FAILED", "ended without a result"]))
