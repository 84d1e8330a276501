"""Carry out stages that may be jobs.

What is submitted is a call of a function of this module, safe to run again. The call names the stage and
carries its settings; no job reads the configuration.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from jrflow.cluster.command import Job
from jrflow.cluster.task import Task
from jrflow.stages import STAGES
from jrflow.stages.stage import Files, Settings
from jrflow.stages.submitted import AnyDivided, DividedStage, SubmittedStage

#: Names and paths of outputs. Outputs are text where inputs are paths, because jobs of an earlier start are
#: recognised by the content of files among their arguments, and outputs change while a job works.
_Named = tuple[tuple[str, str], ...]


def carry_out(
    stage: SubmittedStage[Any],
    job: Job,
    settings: Settings,
    inputs: Files,
    outputs: Files,
    seconds: float,
    n_bytes: float,
) -> int:
    """Do the work of a stage, here or as jobs, and return the exit code.

    Parameters
    ----------
    stage
        One of ``STAGES``.
    job
        Where the work is done.
    settings, inputs, outputs
        As for :meth:`jrflow.stages.stage.Stage.run`.
    seconds, n_bytes
        Expected time and memory.
    """
    if isinstance(stage, DividedStage):
        return _divide(stage, job, settings, inputs, outputs, seconds, n_bytes)
    call = (stage.name, settings.text, job.threads, tuple(inputs), _as_text(outputs), *inputs.values())
    request = job.training_request(seconds, n_bytes, several=stage.several)
    return job.run([Task(run_stage, call, stage.products(outputs))], request)


def _divide(
    stage: AnyDivided,
    job: Job,
    settings: Settings,
    inputs: Files,
    outputs: Files,
    seconds: float,
    n_bytes: float,
) -> int:
    n_parts = _n_parts(job, seconds)
    parts = stage.parts(settings, inputs, n_parts)
    call = stage.name, settings.text, tuple(inputs)
    # All parts, so that jobs of an earlier start are recognised; a part that exists takes a moment.
    if n_parts > 1 and not all(part.exists() for part in parts):
        tasks = [Task(run_part, (*call, str(part), *inputs.values()), (part,)) for part in parts]
        code = job.run(tasks, job.request(seconds / n_parts, n_bytes))
        if code:
            return code
    named = (*call, tuple(map(str, parts)), _as_text(outputs), *inputs.values())
    tasks = [Task(join_parts, named, (*parts, *outputs.values()))]
    return job.run(tasks, job.request(seconds, n_bytes))


def run_stage(
    name: str, settings: str, threads: int, inputs: tuple[str, ...], outputs: _Named, *paths: Path
) -> None:
    """Run a stage.

    Parameters
    ----------
    name
        Name of the stage.
    settings
        Its settings as text.
    threads
        Threads of this process.
    inputs
        Names of the inputs.
    outputs
        Names and paths of the outputs.
    paths
        Paths of the inputs, in the order of their names.
    """
    stage = STAGES[name]
    stage.run(stage.read_settings(settings), _files(inputs, paths), _as_files(outputs), threads)


def run_part(name: str, settings: str, inputs: tuple[str, ...], part: str, *paths: Path) -> None:
    """Write one part of a divided stage; arguments as of ``run_stage``."""
    stage = _divided(name)
    stage.run_part(stage.read_settings(settings), _files(inputs, paths), Path(part))


def join_parts(
    name: str,
    settings: str,
    inputs: tuple[str, ...],
    parts: tuple[str, ...],
    outputs: _Named,
    *paths: Path,
) -> None:
    """Join the parts of a divided stage; arguments as of ``run_stage``."""
    stage, files = _divided(name), _files(inputs, paths)
    stage.join(stage.read_settings(settings), files, _as_files(outputs), tuple(map(Path, parts)))


def _divided(name: str) -> AnyDivided:
    stage = STAGES[name]
    assert isinstance(stage, DividedStage), name
    return stage


def _n_parts(job: Job, seconds: float) -> int:
    """As many jobs as there may be, none shorter than the shortest that is worth one; here, one."""
    if not job.submitted:
        return 1
    shortest = max(1.0, 60.0 * job.cluster.shortest_job)
    here = len(os.sched_getaffinity(0)) if job.cluster.cluster == "local" else job.cluster.most_jobs
    return max(1, min(math.floor(seconds / shortest), job.cluster.most_jobs, here))


def _files(names: tuple[str, ...], paths: tuple[Path, ...]) -> dict[str, Path]:
    return dict(zip(names, paths, strict=True))


def _as_text(files: Files) -> _Named:
    return tuple((name, str(path)) for name, path in files.items())


def _as_files(named: _Named) -> dict[str, Path]:
    return {name: Path(path) for name, path in named}
