"""The rule learning_curve; see jrflow.stages.learning_curve."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("learning_curve"))
