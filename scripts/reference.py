"""The rule reference; see jrflow.stages.reference."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("reference"))
