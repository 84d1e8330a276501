"""What Snakemake's console shows of a run: failed steps with their reasons, and the states of all jobs.

Snakemake's own report of a failed step is hidden where its console is quiet, and is the whole log where it is
not. Here it is the rule, the end of its log or the error of jrflow's own, and what to do.
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
#: What the Slurm plugin says of a job that failed.
_SLURM = re.compile(r"SLURM-job '(?P<job>[\d_]+)' failed.*?SLURM status is: '(?P<state>[A-Z_]+)")
_REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(?P<reason>.*?)'\.", re.DOTALL)
#: That nothing has changed is reported after this time, s; and so many lines of progress are shown.
_TELL_EVERY, _LINES = 300.0, 5


class FailedSteps(logging.Handler):
    """Report failed steps on the console as they fail.

    Parameters
    ----------
    give_up
        Called with Snakemake's number of a job that must not be tried again: cancelled, or the disk is full.
    stream
        The console.
    """

    def __init__(self, give_up: Callable[[int], None], stream: TextIO = sys.stderr) -> None:
        super().__init__(logging.ERROR)
        self._give_up, self._stream = give_up, stream
        self._shown: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Report one failed step, once for each failure."""
        if str(getattr(record, "event", "")) != _JOB_ERROR:
            return
        fields = record.__dict__
        outputs, logs = list(fields.get("output") or []), list(fields.get("log") or [])
        # A group reports all of its steps, also those that were done and those that never began.
        if outputs and all(Path(path).exists() for path in outputs):
            return
        number, message = fields["jobid"], str(fields.get("rule_msg") or "")
        text, final = explain(message, [Path(path) for path in logs])
        # At its end Snakemake reports all failed steps once more, without a message.
        if not text or self._shown.get(number) == text or (number in self._shown and not message):
            return
        self._shown[number] = text
        title = f"FAILED: {fields['rule_name']} ({', '.join(outputs[:1])})"
        print("\n".join([title, *(f"  {line}" for line in text.splitlines())]), file=self._stream, flush=True)
        if final:
            self._give_up(number)


def explain(message: str, logs: list[Path]) -> tuple[str, bool]:
    """Say why a step failed, from what Snakemake says of its job and from the ends of its logs.

    Parameters
    ----------
    message
        Snakemake's, or its Slurm plugin's.
    logs
        Of the step, its own first; the first that says something is shown.

    Returns
    -------
    str
        Reason, end of the log, and what to do; empty where nothing is known, as for a step that never began.
    bool
        Whether another attempt is not wanted, or would end in the same way.
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
    """Report states, reasons for waiting and progress of all jobs of a run, whenever they change.

    Parameters
    ----------
    states
        Gives the states of jobs by their ids.
    is_ours
        Whether a job belongs to the run.
    logs
        Folder of the run's logs.
    every
        Time between two questions, s.
    stream
        The console.
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
        """Ask once, and report what has changed, or that nothing has for a long time."""
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
        """Last lines of progress of the steps that have written one since the last report."""
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
    """Numbers of jobs by step, state and reason for waiting: 'block: 3 RUNNING, 2 PENDING (Priority)'."""
    steps: dict[str, Counter[str]] = {}
    for state in states:
        why = f" ({state.reason})" if state.reason not in ("", "None") and state.state != "RUNNING" else ""
        steps.setdefault(_step(state), Counter())[f"{state.state}{why}"] += 1
    return "; ".join(
        f"{step}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}"
        for step, counts in sorted(steps.items())
    )


def _step(state: JobState) -> str:
    """Rule of a job of Snakemake, which its comment names, or the name of a job of jrflow."""
    rule = re.match(r"(?:rule_|group_)?(.*?)(?:_wildcards_.*)?$", state.comment)
    named = rule[1] if rule and state.comment not in ("", "(null)") else ""
    return named or state.name.removeprefix("jrflow-")


def notice_cancelled_jobs() -> None:
    """Let Snakemake notice that a job was cancelled.

    Its Slurm plugin (2.8.0) compares states with CANCELLED, where sacct writes 'CANCELLED by 1000'. It takes
    such a job for one that still runs, and waits for ever.
    """
    import snakemake_executor_plugin_slurm as plugin

    ask = plugin.query_job_status

    async def first_words(command: str, logger: logging.Logger) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await ask(command, logger)
        return states and {
            job: state.split()[0] if state else state for job, state in states.items()
        }, seconds

    plugin.query_job_status = first_words
