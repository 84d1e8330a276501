"""The rule noise_levels; see jrflow.stages.noise_levels."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("noise_levels"))
