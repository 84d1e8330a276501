"""Stops a process at the moment a certain file is put in its place, so that a test can disturb it there.

Every Python that is started with this folder on PYTHONPATH imports this module first. JRFLOW_TEST_STOP is a
JSON object: ``path`` is how the path of the file ends, ``number`` counts such files in one process, and
``mark`` is the file in which the process writes its number before it stops. Only the first process that comes
so far stops. The file that it was about to put in its place is not there yet. Slurm wakes what it signals:
``for_good`` says whether the process then stops again, so that only SIGKILL ends it.
"""

import json
import os
import signal
import sys
from pathlib import Path


def stop_at(path, number, mark, for_good):
    """Stop this process before it puts the number-th file whose path ends so in its place."""
    left = number

    def watch(event, arguments):
        nonlocal left
        if event != "os.rename" or not os.fspath(arguments[1]).endswith(path):
            return
        left -= 1
        if left:
            return
        unfinished = Path(f"{mark}.{os.getpid()}")
        unfinished.write_text(str(os.getpid()))
        try:
            os.link(unfinished, mark)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGSTOP)
        while for_good:
            os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(watch)


if "JRFLOW_TEST_STOP" in os.environ:
    stop_at(**json.loads(os.environ["JRFLOW_TEST_STOP"]))
