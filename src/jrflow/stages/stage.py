"""What every stage of the workflow is: the settings it reads, the time and memory it takes, and its work.

Snakemake imports the stages whenever it reads its rules. A stage therefore imports what takes long to load
(PyTorch, numba, xarray) only where it works: within ``run``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from inspect import getsource
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from jrflow.config.config import Config
from jrflow.config.section import Section
from jrflow.planning.requests import ONE_CORE, Workers

#: Files of a stage by their names in its rule. An optional input that is not asked for is absent.
Files = Mapping[str, Path]


class Settings(Section):
    """Exactly what one stage reads of a configuration: frozen, without unknown keys."""

    @property
    def text(self) -> str:
        """The settings as JSON with sorted keys: a parameter of the rule, and an argument of its command."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


S = TypeVar("S", bound=Settings)


class Stage(ABC, Generic[S]):
    """One rule of the workflow.

    A stage is handed its settings and files, never the configuration. What a rule depends on can therefore
    not differ from what its work reads.

    Attributes
    ----------
    name
        Name of the rule and of its script.
    inputs, outputs
        Names of its files in the rule.
    settings_type
        Class of its settings.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]]
    settings_type: type[S]
    #: Methods that do the work.
    _work: ClassVar[tuple[str, ...]] = ("run",)

    @abstractmethod
    def settings(self, config: Config, name: str = "") -> S:
        """Take from a configuration what this stage reads.

        Parameters
        ----------
        config
            Configuration of the run.
        name
            Training or campaign, where the rule has one of these as wildcard.
        """

    @abstractmethod
    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """Expected time, s.

        Parameters
        ----------
        config, name
            As for ``settings``.
        workers
            Threads and devices; a stage that cannot use more than one ignores them.
        """

    @abstractmethod
    def bytes(self, config: Config, name: str = "") -> float:
        """Expected memory, bytes; parameters as for ``settings``."""

    @abstractmethod
    def run(self, settings: S, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """Do the work.

        Parameters
        ----------
        settings
            All that the stage reads of the configuration.
        inputs, outputs
            Files to read and to write.
        threads
            Threads to use; they change no result.
        """

    def read_settings(self, text: str) -> S:
        """Read settings that ``Settings.text`` has written."""
        return self.settings_type.model_validate_json(text)

    @property
    def code(self) -> str:
        """Hash of the source of the work: a parameter of the rule, which repeats the rule when it changes."""
        sources = (getsource(getattr(type(self), method)) for method in self._work)
        return sha256("".join(sources).encode()).hexdigest()[:16]

    @property
    def command(self) -> str:
        """Shell command of the rule, with the placeholders that Snakemake fills in."""
        inputs = " ".join(f"{name}={{input.{name}:q}}" for name in self.inputs)
        outputs = " ".join(f"{name}={{output.{name}:q}}" for name in self.outputs)
        return (
            f"python {{SCRIPTS:q}}/{self.name}.py --settings {{params.settings:q}} --threads {{threads}}"
            f" --inputs {inputs} --outputs {outputs}{self._more_arguments} > {{log:q}} 2>&1"
        )

    @property
    def _more_arguments(self) -> str:
        return ""


#: A stage, whatever its settings are.
AnyStage = Stage[Any]
