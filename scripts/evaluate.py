"""The rule evaluate; see jrflow.stages.evaluate."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("evaluate"))
