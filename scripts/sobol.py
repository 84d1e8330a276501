"""Sobol indices of the features of the evoked response; here, or as an array of jobs of a cluster."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.cluster.command import Job, job_parser
from jrflow.planning.analysis import analysis_bytes, analysis_seconds
from jrflow.sensitivity.parts import join_parts, parts_of, write_part


def main(argv: Sequence[str] | None = None) -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--lead-field", type=Path, required=True)
    parser.add_argument("--campaign", type=Path, required=True, help="manifest of the campaign")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    job = Job.of(arguments, f"sobol-{arguments.campaign.stem}")
    seconds = analysis_seconds(job.config, "sobol", arguments.campaign.stem)
    n_bytes = analysis_bytes(job.config, "sobol", arguments.campaign.stem)
    n_parts = _n_parts(job, seconds)
    files = (arguments.config, arguments.lead_field, arguments.campaign)
    parts = tuple(parts_of(*files, n_parts))
    # All of them, so that jobs of an earlier start are recognised; a part that is there takes a moment.
    if n_parts > 1 and not all(part.exists() for part in parts):
        request = job.request(seconds / n_parts, n_bytes)
        code = job.run([(*files, part) for part in parts], write_part, request)
        if code:
            return code
    return job.run([(*files, parts, arguments.out)], join_parts, job.request(seconds, n_bytes))


def _n_parts(job: Job, seconds: float) -> int:
    """As many jobs as there may be, none shorter than the shortest that is worth one; here, one."""
    if not job.submitted:
        return 1
    shortest = max(1.0, 60.0 * job.cluster.shortest_job)
    here = len(os.sched_getaffinity(0)) if job.cluster.cluster == "local" else job.cluster.most_jobs
    return max(1, min(math.floor(seconds / shortest), job.cluster.most_jobs, here))


if __name__ == "__main__":
    sys.exit(main())
