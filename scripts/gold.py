"""The rule gold; see jrflow.stages.gold."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("gold"))
