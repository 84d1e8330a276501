"""Train a model, or the rest of the way if that was interrupted; here, or as a job of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.cluster.command import Job, job_parser
from jrflow.inference.jobs import train_job
from jrflow.planning.learning_cost import training_bytes, training_seconds


def main(argv: Sequence[str] | None = None) -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, called as the model")
    arguments = parser.parse_args(argv)
    model = arguments.out.name
    job = Job.of(arguments, f"train-{model}")
    seconds = training_seconds(job.config, model, job.n_ranks, job.device, job.threads)
    request = job.training_request(seconds, training_bytes(job.config, model))
    call = (arguments.config, arguments.noise, arguments.train, job.threads, arguments.out)
    return job.run([call], train_job, request)


if __name__ == "__main__":
    sys.exit(main())
