"""A signal to Snakemake's process alone ends the steps that run on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

#: A step that takes its time to end, as a launcher does that cancels jobs, in a shell that forwards nothing.
SNAKEFILE = """
from jrflow.cluster.interrupts import end_children_with_parent

onstart:
    end_children_with_parent()

rule step:
    output: "done"
    log: "log"
    shell: "({sys.executable} step.py && touch {output}) > {log} 2>&1"
"""
STEP = """
import pathlib, signal, sys, time

def end(*_):
    time.sleep(0.5)
    pathlib.Path("ended").touch()
    sys.exit(1)

signal.signal(signal.SIGTERM, end)
pathlib.Path("started").touch()
time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_steps_end_with_snakemake(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("{sys.executable}", sys.executable))
    (tmp_path / "step.py").write_text(STEP)
    log = (tmp_path / "said").open("w")
    driver = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores=1", "step"], cwd=tmp_path, stdout=log, stderr=log,
        start_new_session=True,
        # As in the background of a script: SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    try:
        while not (tmp_path / "started").exists():
            assert driver.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.1)
        driver.send_signal(number)
        assert driver.wait(120) == 1
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "ended").exists(), said
    assert "event loop" not in said
