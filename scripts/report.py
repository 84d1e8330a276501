"""The rule report; see jrflow.stages.report."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("report"))
