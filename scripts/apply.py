"""The rule apply; see jrflow.stages.apply."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("apply"))
