"""The rule sobol; see jrflow.stages.sobol."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("sobol"))
