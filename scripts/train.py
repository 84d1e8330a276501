"""The rule train; see jrflow.stages.train."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("train"))
