"""Stages that may be jobs of their own: here, as one job, or as an array of jobs and one that joins them."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from jrflow.stages.stage import Files, S, Stage


class SubmittedStage(Stage[S]):
    """A stage that submits jobs itself where the run has a cluster.

    Attributes
    ----------
    several
        Whether the nodes and processes of a training share the work; otherwise one process does it.
    """

    several: ClassVar[bool] = False

    def products(self, outputs: Files) -> tuple[Path, ...]:
        """Files and folders that change when a part of the work is finished."""
        return tuple(outputs.values())

    @property
    def _more_arguments(self) -> str:
        return (
            " --cluster '{resources.cluster}' --attempt {resources.attempt} --jobs {params.jobs:q}"
            " --expected-seconds {resources.expected_s} --expected-bytes {resources.expected_bytes}"
        )


class DividedStage(SubmittedStage[S]):
    """A stage on one core, whose parts may be an array of jobs; then one more job joins them."""

    _work = ("run_part", "join")

    @abstractmethod
    def parts(self, settings: S, inputs: Files, n_parts: int) -> tuple[Path, ...]:
        """Files of the parts, at most so many; their names change with all that their content depends on."""

    @abstractmethod
    def run_part(self, settings: S, inputs: Files, part: Path) -> None:
        """Write the file of one part, unless it exists."""

    @abstractmethod
    def join(self, settings: S, inputs: Files, outputs: Files, parts: tuple[Path, ...]) -> None:
        """Write the parts that are missing, and the outputs from all of them."""

    def run(self, settings: S, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        self.join(settings, inputs, outputs, self.parts(settings, inputs, 1))


#: A divided stage, whatever its settings are.
AnyDivided = DividedStage[Any]
