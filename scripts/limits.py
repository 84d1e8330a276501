"""The rule limits; see jrflow.stages.limits."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("limits"))
