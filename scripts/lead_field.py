"""The rule lead_field; see jrflow.stages.lead_field."""

import sys

from jrflow.stages.command import main

if __name__ == "__main__":
    sys.exit(main("lead_field"))
