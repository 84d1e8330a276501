"""What all chunks of a batch share on a GPU: tables, the stimulus, memory that is used again, results."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from jrflow.model.backend import BackendError
from jrflow.model.gpu_device import SIMULATED, cuda
from jrflow.model.gpu_recording import mean_transposed, samples_table, times_table, transposition
from jrflow.model.problem import Problem, Solution
from jrflow.model.recording import Schedule

#: Of the memory that is free, the fraction to use.
_FRACTION = 0.85


class Run:
    """One batch on its way through the device.

    Attributes
    ----------
    problem, solution, schedule
        What is computed, where it goes, and when.
    stimulus, samples, times
        On the device, flat: ``Problem.stimulus``, and the tables of ``gpu_recording``.
    steps, forces
        Scalar arguments that end every kernel's list: n_samples, stride, first, period, n_epochs; the
        noise's distribution and scale, seed, limits of the source before and within the recording,
        tolerance.
    """

    def __init__(self, problem: Problem, solution: Solution, kernel_seconds: list[float] | None) -> None:
        t, real = Schedule.of(problem.timing), problem.dtype.type
        n_samples = (problem.timing.n_steps - 1) // t.stride + 1
        self.problem, self.solution, self.schedule = problem, solution, t
        stimulus = problem.stimulus()
        beyond = n_samples * t.stride - len(stimulus)  # kernels take whole samples
        self.stimulus = cuda.to_device(np.pad(stimulus, ((0, beyond), (0, 0))).reshape(-1))
        self.samples = cuda.to_device(samples_table(t, n_samples).reshape(-1))
        self.times = cuda.to_device(times_table(t))
        self.steps = (*(np.uint32(n) for n in (n_samples, t.stride, t.first, t.period)), np.int32(t.n_epochs))
        before, within = problem.limits()
        self.forces = (
            *problem.noise(), np.uint64(problem.seed), before, within, real(problem.steady_tolerance or 0)
        )  # fmt: skip
        self._kernel_seconds = kernel_seconds
        self._memory: dict[str, Any] = {}

    def numbers_per_node(self) -> int:
        """Numbers that one region of one simulation records on the device."""
        n_times, period = self.schedule.n_times, self.schedule.period
        return (n_times + 1) + (period + 1 + 3 if self.problem.steady else 0) + n_times

    def capacity(self, bytes_each: int, most: int) -> int:
        """Simulations that fit the memory that is free or held for this batch.

        Raises
        ------
        BackendError
            If not even one does.
        """
        context = cuda.current_context()
        if not SIMULATED:
            context.deallocations.clear()  # what earlier batches gave back is freed only now
        held = sum(array.nbytes for array in self._memory.values())
        free = held + min(context.get_memory_info()[0], 2**60)  # the simulator's is infinite
        fitting = min(float(most), _FRACTION * free / bytes_each)
        if fitting < 1:
            raise BackendError(
                f"one simulation needs {bytes_each / 2**30:.3g} GiB on the GPU, but {free / 2**30:.3g} GiB "
                "are free; record fewer samples (a lower sfreq, a shorter recording) or use backend='cpu'"
            )
        return int(fitting)

    def array(self, name: str, size: int, dtype: Any) -> Any:
        """Uninitialised device memory that the next chunk uses again; never empty."""
        size = max(size, 1)
        if name not in self._memory or self._memory[name].size < size:
            self._memory.pop(name, None)  # freed before the larger one is taken
            self._memory[name] = cuda.device_array(size, dtype)
        return self._memory[name][:size]

    def filled(self, name: str, values: np.ndarray) -> Any:
        """Device memory with these values, flat."""
        array = self.array(name, values.size, values.dtype)
        if values.size:
            array.copy_to_device(values.reshape(-1))
        return array

    def sims(self, members: np.ndarray) -> Any:
        """Ids of some simulations (indices): they key the noise."""
        return self.filled("sims", self.problem.sim_ids[members].astype(np.uint64))

    def recordings(self, n_sims: int, n_nodes: int) -> tuple[Any, Any, Any, Any]:
        """Room for sums, trace, failed steps (by node) and trials (by simulation)."""
        steady, dtype = self.problem.steady, self.problem.dtype
        return (
            self.array("sums", (self.schedule.n_times + 1) * n_nodes, dtype),
            self.array("trace", (self.schedule.period + 1) * n_nodes if steady else 0, dtype),
            self.array("failed_step", n_nodes, np.int32),
            self.filled("n_trials", np.zeros(n_sims, np.int32)),
        )

    def launch(self, kernel: Any, shape: tuple[Any, ...], arguments: tuple[Any, ...]) -> None:
        """Launch a kernel; where asked for, note how long the device was busy with it."""
        begin, end = cuda.event(), cuda.event()
        with warnings.catch_warnings():
            # Small batches are allowed.
            warnings.filterwarnings("ignore", "Grid size .* will likely result in GPU under-utilization")
            configured = kernel[shape]
        begin.record()
        configured(*arguments)
        end.record()
        if self._kernel_seconds is not None:
            end.synchronize()
            self._kernel_seconds.append(begin.elapsed_time(end) / 1e3)

    def collect(self, members: np.ndarray, sums: Any, failed_step: Any, n_trials: Any) -> None:
        """Bring what some simulations (indices) recorded to the host, regions by simulation."""
        n_times, n_nodes, dtype = self.schedule.n_times, failed_step.size, self.problem.dtype
        out = self.array("out", n_times * n_nodes, dtype)
        arguments = (sums, out, n_times, n_nodes, dtype.type(self.schedule.n_epochs))
        self.launch(mean_transposed(dtype), transposition(n_times, n_nodes), arguments)
        source = self.solution.source
        if members[-1] - members[0] == len(members) - 1 and (np.diff(members) == 1).all():
            out.copy_to_host(source[members[0] : members[-1] + 1].reshape(-1))
        else:
            source[members] = out.copy_to_host().reshape(len(members), *source.shape[1:])
        # -1 is the largest number without a sign: the smallest is the first failure, if there is one.
        failed = failed_step.copy_to_host().view(np.uint32).reshape(len(members), -1)
        self.solution.failed_step[members] = failed.min(axis=1).view(np.int32)
        self.solution.n_trials[members] = n_trials.copy_to_host()
