"""Console output of a run: failed steps with their reasons, and the states of all jobs.

Snakemake itself reports a failed step either not at all (quiet) or with its whole log. This module shows the
rule, the end of its log or jrflow's own error message, and what to do.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from jrflow.cluster.outcome import is_final, log_end, meaning, own_error, progress_line_of
from jrflow.cluster.queue import JobState, SlurmAwayError

_JOB_ERROR = "job_error"
#: Messages of the Slurm plugin: a job failed; sbatch refused a job.
_SLURM = re.compile(r"SLURM-job '(?P<job>[\d_]+)' failed.*?SLURM status is: '(?P<state>[A-Z_]+)")
_REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(?P<reason>.*?)'\.", re.DOTALL)
#: Time after which unchanged states are reported again, s; largest number of progress lines in a report.
_TELL_EVERY, _LINES = 300.0, 5


class FailedSteps(logging.Handler):
    """Report failed steps on the console as they fail.

    Parameters
    ----------
    give_up
        Function that stops further attempts of a job, given Snakemake's number of the job. It is called if
        the job was cancelled or the disk is full.
    stream
        Stream for the report.
    """

    def __init__(self, give_up: Callable[[int], None], stream: TextIO = sys.stderr) -> None:
        super().__init__(logging.ERROR)
        self._give_up, self._stream = give_up, stream
        self._shown: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Report a failed step, once per failure."""
        if str(getattr(record, "event", "")) != _JOB_ERROR:
            return
        fields = record.__dict__
        outputs, logs = list(fields.get("output") or []), list(fields.get("log") or [])
        # A failed group reports all of its steps, including steps that succeeded or never started.
        if outputs and all(Path(path).exists() for path in outputs):
            return
        number, message = fields["jobid"], str(fields.get("rule_msg") or "")
        text, final = explain(message, [Path(path) for path in logs])
        # When Snakemake ends, it reports all failed steps again, without a message.
        if not text or self._shown.get(number) == text or (number in self._shown and not message):
            return
        self._shown[number] = text
        title = f"FAILED: {fields['rule_name']} ({', '.join(outputs[:1])})"
        print("\n".join([title, *(f"  {line}" for line in text.splitlines())]), file=self._stream, flush=True)
        if final:
            self._give_up(number)


def explain(message: str, logs: list[Path]) -> tuple[str, bool]:
    """Explain why a step failed, from Snakemake's message and the ends of the step's logs.

    Parameters
    ----------
    message
        Message of Snakemake or its Slurm plugin.
    logs
        Log files of the step; the step's own log comes first. The first one that is not empty is shown.

    Returns
    -------
    str
        Reason, end of the log, and what to do. Empty if nothing is known, as for a step that never started.
    bool
        Whether the failure is final: another attempt is not wanted or would fail in the same way.
    """
    lines, final = [], False
    refused, job = _REFUSED.search(message), _SLURM.search(message)
    if refused:
        return f"Slurm refuses the job: {refused['reason'].strip()}", False
    if job:
        state = JobState(job["job"], job["state"])
        what_to_do = meaning(state)
        lines.append(f"Slurm {state}" + (f": {what_to_do}" if what_to_do else ""))
        final = state.state == "CANCELLED"
    for log in logs:
        end = "\n".join(log_end(log, launchers=True))
        own = own_error(end)
        if own or end:
            lines += [
                f"{'error in' if own else 'end of'} {log}:",
                *(f"  {x}" for x in (own or end).splitlines()),
            ]
            final = final or is_final(end)
            break
    if final:
        lines.append(
            "not tried again. Remove the cause and start the same command again: finished work is kept"
        )
    return "\n".join(lines), final


class Overview(threading.Thread):
    """Thread that reports states, reasons for waiting and progress of all jobs of a run when they change.

    Parameters
    ----------
    states
        Function that returns the states of jobs by job id.
    is_ours
        Function that says whether a job belongs to the run.
    logs
        Folder of the run's logs.
    every
        Time between two queries, s.
    stream
        Stream for the report.
    """

    def __init__(
        self,
        states: Callable[[], Mapping[str, JobState]],
        is_ours: Callable[[JobState], bool],
        logs: Path,
        every: float,
        stream: TextIO = sys.stderr,
    ) -> None:
        super().__init__(daemon=True)
        self._states, self._is_ours, self._logs = states, is_ours, logs
        self._every, self._stream = every, stream
        self._told, self._told_at = "", 0.0

    def run(self) -> None:
        """Report until the process ends."""
        while True:
            time.sleep(self._every)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Query the states once. Report them if they have changed or were not reported for a long time."""
        try:
            ours = [state for state in self._states().values() if state.under_way and self._is_ours(state)]
        except (SlurmAwayError, OSError) as error:
            text = f"no answer from Slurm, jobs are not affected: {error}"
        else:
            text = summary(ours)
        if text and (text != self._told or now - self._told_at > _TELL_EVERY):
            self._told, self._told_at = text, now
            print("\n".join([f"jobs: {text}", *self._progress()]), file=self._stream, flush=True)

    def _progress(self) -> Iterator[str]:
        """Last progress lines of the steps whose logs have changed recently."""
        logs = {
            path: path.stat().st_mtime
            for pattern in ("campaign/*.log", "jobs/*/*/*_0_log.out", "jobs/*/*/*_0_log.err")
            for path in self._logs.glob(pattern)
        }
        recent = [
            path for path in sorted(logs, key=lambda p: -logs[p]) if logs[path] > time.time() - _TELL_EVERY
        ]
        lines = dict.fromkeys(progress_line_of([path]) for path in recent[: 2 * _LINES])
        yield from (f"  {line}" for line in [*filter(None, lines)][:_LINES])


def summary(states: list[JobState]) -> str:
    """Count jobs by step, state and reason for waiting: 'block: 3 RUNNING, 2 PENDING (Priority)'."""
    steps: dict[str, Counter[str]] = {}
    for state in states:
        why = f" ({state.reason})" if state.reason not in ("", "None") and state.state != "RUNNING" else ""
        steps.setdefault(_step(state), Counter())[f"{state.state}{why}"] += 1
    return "; ".join(
        f"{step}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}"
        for step, counts in sorted(steps.items())
    )


def _step(state: JobState) -> str:
    """Step of a job: the rule in the comment of a Snakemake job, or the name of a jrflow job."""
    rule = re.match(r"(?:rule_|group_)?(.*?)(?:_wildcards_.*)?$", state.comment)
    named = rule[1] if rule and state.comment not in ("", "(null)") else ""
    return named or state.name.removeprefix("jrflow-")


def notice_cancelled_jobs() -> None:
    """Make Snakemake notice that a job was cancelled.

    Snakemake's Slurm plugin (2.8.0) compares states with 'CANCELLED', but sacct writes 'CANCELLED by 1000'.
    The plugin therefore treats a cancelled job as running and waits without end.
    """
    import snakemake_executor_plugin_slurm as plugin

    ask = plugin.query_job_status

    async def first_words(command: str, logger: logging.Logger) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await ask(command, logger)
        return states and {
            job: state.split()[0] if state else state for job, state in states.items()
        }, seconds

    plugin.query_job_status = first_words
