"""The rule baselines; see jrflow.stages.baselines."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("baselines"))
