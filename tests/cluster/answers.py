"""Commands of Slurm that give recorded answers: what Slurm said once, it says to whoever asks."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
NO_ACCOUNTING = "Slurm accounting storage is disabled"
TAKEN = "sbatch: Job 15 to start at 2026-03-02T17:00:00 using 8 processors on nodes c1 in partition cpu"
#: Of a cluster with two kinds of GPU, one of them without a name.
SINFO = """\
cpu*|4|(null)|2-00:00:00|10
cpu*|64+|(null)|2-00:00:00|20
gpu|32|gpu:a100:4(S:0-1),shard:16|1-12:00:00|3
gpu|16|gpu:2080ti:8(S:0)|1-12:00:00|1
old|8|gpu:2|infinite|2
"""


@dataclass(frozen=True)
class Answer:
    """What a command writes, and its exit code; ``after`` so many seconds."""

    out: str = ""
    err: str = ""
    code: int = 0
    after: float = 0.0


class Slurm:
    """A folder of commands, the only ones that are found."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "slurm"
        self._folder.mkdir()
        monkeypatch.setenv("PATH", str(self._folder))

    def answers(self, **commands: Answer | str) -> None:
        """Let commands answer from now on."""
        for name, given in commands.items():
            answer = Answer(given) if isinstance(given, str) else given
            path = self._folder / name
            path.write_text(
                "#!/bin/sh\n"
                f'echo "$@" >> {shlex.quote(str(self._log(name)))}\n'
                f"/bin/sleep {answer.after}\n"
                f"printf %s {shlex.quote(answer.out)}\n"
                f"printf %s {shlex.quote(answer.err)} >&2\n"
                f"exit {answer.code}\n"
            )
            path.chmod(0o700)

    def asked(self, name: str) -> list[str]:
        """Arguments that a command was called with, one line a call."""
        log = self._log(name)
        return log.read_text().splitlines() if log.exists() else []

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.asked"
