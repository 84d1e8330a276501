"""Waiting for jobs: what they do is told as it changes, and no wait is without an end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TextIO

import submitit

from jrflow.cluster.outcome import JobFailedError, failure, last_line, rank_outcomes
from jrflow.cluster.queue import JobState, SlurmAwayError, accounted_state, job_states
from jrflow.cluster.task import Request
from jrflow.config.cluster import ClusterConfig

#: A job that has ended leaves its word on a shared file system, which may take so long to show it; and one
#: that was preempted, or whose node died, may take so long to be put back into the queue, s.
_SETTLES_WITHIN = 90.0
#: That nothing has changed is told after this time, s.
_TELL_EVERY = 300.0
_TICK = 0.2  # s, in which an interruption is noticed


class Waiting:
    """Follow jobs to their end.

    Parameters
    ----------
    jobs
        Submitted.
    request
        What they asked for.
    cluster
        Where they are, and how often to ask.
    progress
        Where states are told; None for silence.
    """

    def __init__(
        self,
        jobs: Sequence[submitit.Job[None]],
        request: Request,
        cluster: ClusterConfig,
        progress: TextIO | None,
    ) -> None:
        self._jobs = {str(job.job_id): job for job in jobs}
        self._request, self._cluster, self._progress = request, cluster, progress
        self._ended: dict[str, float] = {}
        self._told: dict[str, tuple[str, float]] = {}

    def wait(self, check_interrupted: Callable[[], None]) -> None:
        """Return when all have succeeded.

        Raises
        ------
        JobFailedError
            As soon as one has failed.
        """
        unfinished = dict(self._jobs)
        while unfinished:
            states = self._states(list(unfinished))
            for job_id in [*unfinished] if states is not None else []:
                state = (states or {}).get(job_id)
                if self._has_succeeded(unfinished[job_id], state):
                    self._tell(job_id, f"job {job_id} done")
                    del unfinished[job_id]
                elif self._has_failed(unfinished[job_id], state):
                    self._fail(unfinished[job_id], state)
                elif state is not None:
                    self._tell(job_id, str(state), self._last_line(job_id, state))
            self._sleep(self._cluster.poll if unfinished else 0, check_interrupted)

    def _states(self, jobs: list[str]) -> dict[str, JobState] | None:
        """States by job; None where nobody answers: then what was known still holds."""
        if self._cluster.cluster != "slurm":
            return {job: _local_state(self._jobs[job]) for job in jobs}
        try:
            return job_states(jobs)
        except SlurmAwayError as error:
            self._tell("Slurm", f"no answer, jobs are not affected, asking again: {error}")
            return None

    def _has_succeeded(self, job: submitit.Job[None], state: JobState | None) -> bool:
        if state is not None and state.under_way:
            return False
        outcomes = rank_outcomes(job, self._request.n_ranks)
        decisive = self._request.decisive_rank
        needed = set(range(self._request.n_ranks) if decisive is None else [decisive])
        return needed <= {outcome.rank for outcome in outcomes if outcome.error is None}

    def _has_failed(self, job: submitit.Job[None], state: JobState | None) -> bool:
        """Whether it has ended without success, and long enough ago for that to be the last word."""
        job_id = str(job.job_id)
        if state is not None and state.under_way:
            self._ended.pop(job_id, None)
            # Slurm ends the other ranks of one that failed; here nobody else does.
            return self._cluster.cluster == "local" and self._has_error(job)
        since = time.monotonic() - self._ended.setdefault(job_id, time.monotonic())
        if state is not None and state.may_return:
            return since > _SETTLES_WITHIN
        if self._has_error(job):
            return True
        # The words of its ranks may still be on the way; without success there is one, or a last line.
        killed = state is not None and state.state != "COMPLETED"
        return since > (min(_SETTLES_WITHIN, 2 * self._cluster.poll) if killed else _SETTLES_WITHIN)

    def _has_error(self, job: submitit.Job[None]) -> bool:
        return any(outcome.error for outcome in rank_outcomes(job, self._request.n_ranks))

    def _fail(self, job: submitit.Job[None], state: JobState | None) -> None:
        if state is None and self._cluster.cluster == "slurm" and self._cluster.accounting:
            state = accounted_state(str(job.job_id))
        raise JobFailedError(failure(self._request.name, job, self._request.n_ranks, state))

    def _last_line(self, job_id: str, state: JobState) -> str:
        rank = self._request.decisive_rank or 0
        return last_line(self._jobs[job_id], rank) if state.state == "RUNNING" else ""

    def _tell(self, about: str, text: str, last: str = "") -> None:
        """Tell what has changed; how long it has run is no change."""
        essence = text.rsplit(",", 1)[0] + last
        known, told = self._told.get(about, ("", 0.0))
        now = time.monotonic()
        if self._progress is not None and (essence != known or now - told > _TELL_EVERY):
            self._told[about] = (essence, now)
            print(
                f"{self._request.name}: {text}{f': {last}' if last else ''}", file=self._progress, flush=True
            )

    def _sleep(self, seconds: float, check_interrupted: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        check_interrupted()
        while time.monotonic() < end:
            time.sleep(min(_TICK, max(0.0, end - time.monotonic())))
            check_interrupted()


def _local_state(job: submitit.Job[None]) -> JobState:
    known = {"RUNNING": "RUNNING", "FINISHED": "COMPLETED"}
    return JobState(str(job.job_id), known.get(job.state, "FAILED"))
