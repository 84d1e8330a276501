"""The rule one_at_a_time; see jrflow.stages.one_at_a_time."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("one_at_a_time"))
