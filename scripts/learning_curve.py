"""Scores over the number of training simulations, and over epochs; here, or as a job of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.cluster.command import Job, job_parser
from jrflow.inference.jobs import learning_curve_job
from jrflow.planning.analysis import analysis_seconds
from jrflow.planning.learning_cost import training_bytes


def main(argv: Sequence[str] | None = None) -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--test", type=Path, required=True, help="manifest of the test campaign")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    job = Job.of(arguments, "learning-curve")
    curve = job.config.inference.learning_curve
    if curve is None:
        parser.error(f"{arguments.config} asks for no learning curve (inference.learning_curve)")
    seconds = analysis_seconds(job.config, "learning_curve", n_threads=job.threads)
    request = job.training_request(seconds, training_bytes(job.config, curve.model), several=False)
    files = (arguments.config, arguments.noise, arguments.train, arguments.test)
    return job.run([(*files, job.threads, arguments.out)], learning_curve_job, request)


if __name__ == "__main__":
    sys.exit(main())
