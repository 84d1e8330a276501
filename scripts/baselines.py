"""Score the baselines on a test campaign."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.config import load_config
from jrflow.inference.baselines import evaluate_baselines
from jrflow.inference.command import trial_of, trial_parser


def main(argv: Sequence[str] | None = None) -> int:
    parser = trial_parser(__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    trial = trial_of(arguments, config.inference.training, config.run.seed)
    paper = config.inference.paper_baseline
    evaluate_baselines(trial, paper=paper, n_jobs=arguments.threads).to_csv(arguments.scores, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
