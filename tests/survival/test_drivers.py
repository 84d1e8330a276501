"""Two drivers on one campaign, and drivers on what is another's: the second refuses, the first goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from evidence import NAME, assert_nothing_twice, assert_same, contents, written
from processes import Program, jrflow, jrflow_at_once, running, until

from jrflow.archive.lock import lock_path

WriteConfig = Callable[..., Path]

#: To refuse takes no longer than to import and to look.
AT_ONCE = 20.0  # s


def _begun(program: Program, folder: Path, n_done: int = 0) -> None:
    """Wait until a driver is in the midst of simulating."""
    assert program.hears("shards to simulate"), "".join(program.said)
    until(lambda: len(written(folder)) > n_done, "another shard")


def _refuses(program: Program, holder: Program, what: str) -> None:
    """It says who is at work, where and since when."""
    code, text = program.ends(AT_ONCE)
    assert code == 2, text
    host = socket.gethostname()
    assert f"another process is at work on it: process {holder.pid} on {host} ({what}, since 20" in text
    assert "Wait until it has finished, or stop it; then start this again" in text


@pytest.mark.slow
def test_a_second_driver_refuses_and_the_first_is_not_disturbed(
    tmp_path: Path, short: Path, undisturbed_short: Path
) -> None:
    command = ("campaign", short, NAME, "--out", tmp_path)
    first = jrflow(*command)
    with running(first):
        _begun(first, tmp_path)
        # Held, so that a quick machine does not finish it before the others have tried.
        os.kill(first.pid, signal.SIGSTOP)
        done = written(tmp_path)
        for _ in range(3):
            second = jrflow_at_once(*command)
            with running(second):
                _refuses(second, first, "all shards")
        assert_nothing_twice(done, tmp_path)
        assert first.lives_for(0)
        assert first.kill()
        n_done = len(written(tmp_path))
        assert lock_path(tmp_path / f"{NAME}.zarr").exists()  # a file is left, but nothing is locked
        third = jrflow_at_once(*command)
        with running(third):
            _begun(third, tmp_path, n_done)
            # Of the last one, the source may be there and the status not.
            told = [f"going on; shards done: {n} of 20\n" for n in (n_done - 1, n_done)]
            assert any(text in "".join(third.said) for text in told)
            done = written(tmp_path)
            code, text = third.ends(300)
    assert code == 0, text
    assert_nothing_twice(done, tmp_path)
    assert_same(tmp_path, undisturbed_short)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{NAME}.json", f"{NAME}.zarr"]


@pytest.mark.slow
def test_of_two_drivers_started_at_once_one_does_it(
    tmp_path: Path, short: Path, undisturbed_short: Path
) -> None:
    """Also where there is no store yet, so that both would create it."""
    for number in range(3):
        folder = tmp_path / str(number)
        both = [jrflow_at_once("campaign", short, NAME, "--out", folder) for _ in range(2)]
        with running(*both):
            results = [program.ends() for program in both]
        codes = sorted(code for code, _ in results)
        # On a busy machine the second may come when the first has finished: there is nothing to do then.
        assert codes in ([0, 2], [0, 0]), results
        assert_same(folder, undisturbed_short)


@pytest.mark.slow
def test_blocks_go_side_by_side_but_not_twice(tmp_path: Path, short: Path, undisturbed_short: Path) -> None:
    def start(*arguments: str) -> Program:
        return jrflow_at_once("campaign", short, NAME, "--out", tmp_path, *arguments)

    first, second = start("--block", "1/2"), start("--block", "2/2")
    with running(first, second):
        assert first.hears("shards to simulate")
        assert second.hears("shards to simulate")
        # Held, so that a quick machine does not finish them before the others have tried.
        for program in (first, second):
            os.kill(program.pid, signal.SIGSTOP)
        again = start("--block", "1/2")
        with running(again):
            _refuses(again, first, "shards 0 to 9")
        whole = start()
        with running(whole):
            code, text = whole.ends(AT_ONCE)
            assert code == 2, text
            assert "another process is at work on it: process" in text
        for program in (first, second):
            os.kill(program.pid, signal.SIGCONT)
        for number, program in enumerate((first, second), start=1):
            code, text = program.ends()
            assert code == 0, text
            assert f"{NAME}: block {number} of 2: {160 if number == 1 else 154} simulations" in text
    done = written(tmp_path)
    assert len(done) == 20
    code, text = start().ends()
    assert code == 0, text
    assert "shards done: 20 of 20" in text
    assert_nothing_twice(done, tmp_path)
    assert_same(tmp_path, undisturbed_short)


@pytest.mark.slow
def test_a_killed_block_locks_nobody_out(tmp_path: Path, short: Path, undisturbed_short: Path) -> None:
    def start(*arguments: str) -> Program:
        return jrflow_at_once("campaign", short, NAME, "--out", tmp_path, *arguments)

    block = start("--block", "2/2")
    with running(block):
        _begun(block, tmp_path)
        assert block.kill()
    done = written(tmp_path)
    code, text = start().ends()
    assert code == 0, text
    assert_nothing_twice(done, tmp_path)
    assert_same(tmp_path, undisturbed_short)


@pytest.mark.parametrize("sealed", [True, False])
def test_a_changed_config_is_refused_with_the_differences(
    tmp_path: Path, write_config: WriteConfig, undisturbed_short: Path, sealed: bool
) -> None:
    shutil.copytree(undisturbed_short, tmp_path / "run")
    if not sealed:
        (tmp_path / "run" / f"{NAME}.json").unlink()
    before, when = contents(tmp_path / "run"), _when(tmp_path / "run")
    changed = write_config(
        "changed",
        314,
        {"priors": {"half": {"kind": "relative-uniform", "half_width": 0.25}}, "simulation": {"dt": 5e-4}},
        backend="in-process",
    )
    code, text = jrflow_at_once("campaign", changed, NAME, "--out", tmp_path / "run").ends()
    assert code == 2
    assert "holds another campaign; it differs in\n" in text
    assert "  simulation.dt: in the store 0.001, expected 0.0005\n" in text
    assert "  simulation.protocol.n_trials" not in text  # it is the default
    assert "  simulation.protocol.isi: in the store 0.5, expected 1.0\n" in text
    assert "  prior.varied.A_e.low: in the store 1.625, expected 2.4375\n" in text
    assert "It is not overwritten. Give this run another name (run.name), restore the settings" in text
    assert (contents(tmp_path / "run"), _when(tmp_path / "run")) == (before, when)


def test_older_metadata_are_refused(tmp_path: Path, short: Path, undisturbed_short: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed_short, folder)
    store = folder / f"{NAME}.zarr"
    metadata = json.loads((store / "zarr.json").read_text())
    metadata["attributes"]["format"] = "jrflow-archive-1"
    (store / "zarr.json").write_text(json.dumps(metadata))
    (folder / f"{NAME}.json").unlink()
    before, when = contents(folder), _when(folder)
    for command in (
        ("campaign", short, NAME, "--out", folder),
        ("campaign", short, NAME, "--out", folder, "--block", "1/2"),
        ("archive", "verify", store),
    ):
        code, text = jrflow_at_once(*command).ends()
        assert code == 2, text
        assert "expected a store of format 'jrflow-archive-2', found 'jrflow-archive-1'" in text
        assert (contents(folder), _when(folder)) == (before, when)


def _when(folder: Path) -> dict[str, int]:
    """When each file and folder was changed, ns."""
    return {str(path): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
