"""Optimisers: Adam, or Muon for the matrices and Adam for all other weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from jrflow.inference.networks.network import Network

#: Parts of a network whose matrices Muon optimises, and names of tables that it does not optimise.
_DEEP = ("body.", "residual.")
_TABLES = ("position",)

#: Muon's momentum; coefficients of the polynomial that brings singular values near 1, and number of its
#: applications (Jordan et al.).
_MOMENTUM = 0.95
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315
_N_STEPS = 5
#: Root mean square of Adam's steps, divided by its learning rate (Liu et al. 2025).
_ADAMS_SIZE = 0.2


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised steps, so that directions with small gradients are learnt too.

    Jordan et al. 2024 (kellerjordan.github.io/posts/muon). Steps are as large as Adam's (Liu et al. 2025,
    arXiv 2502.16982), so that both can use the same learning rate. PyTorch's own implementation uses
    bfloat16. It is 30 times slower on a CPU without bfloat16 instructions, and not precise enough for ranks
    to agree to rounding.

    Parameters
    ----------
    matrices
        Weights to optimise, each of two dimensions.
    lr
        Learning rate.
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step; ``closure`` is not called."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"]
                momentum.lerp_(matrix.grad, 1 - _MOMENTUM)
                towards = orthogonal(matrix.grad.lerp(momentum, _MOMENTUM))
                size = _ADAMS_SIZE * max(matrix.shape) ** 0.5
                matrix.add_(towards, alpha=-group["lr"] * size)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Bring singular values near 1 (0.7 to 1.2; very small ones remain smaller); keep singular vectors."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / wide.norm().clamp(min=torch.finfo(matrix.dtype).tiny)
    for _ in range(_N_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_CUBIC, alpha=_QUINTIC), x, beta=_LINEAR)
    return x if wide is matrix else x.T


class Optimisers:
    """Several optimisers that make their steps together, each with its own weights."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @classmethod
    def of(cls, network: Network) -> Optimisers:
        """Make the optimisers of a network's configuration."""
        config = network.architecture.network
        matrices = _deep_matrices(network) if config.optimiser == "muon" else {}
        others = [weight for name, weight in network.named_parameters() if name not in matrices]
        adam = torch.optim.Adam(others, lr=config.learning_rate, fused=True)
        return cls(adam, Muon(matrices.values(), lr=config.learning_rate)) if matrices else cls(adam)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of all optimisers."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        """Reset the gradients."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Take one step."""
        for part in self.parts:
            part.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Moments and counters: '<optimiser>/<position of the weight>/<name>'."""
        return {
            f"{k}/{position}/{name}": tensor
            for k, part in enumerate(self.parts)
            for position, values in part.state_dict()["state"].items()
            for name, tensor in values.items()
        }

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Restore moments and counters that ``tensors`` returned for the same weights."""
        states: list[dict[int, dict[str, torch.Tensor]]] = [{} for _ in self.parts]
        for key, tensor in tensors.items():
            k, position, name = key.split("/")
            states[int(k)].setdefault(int(position), {})[name] = tensor
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})


def _deep_matrices(network: Network) -> dict[str, torch.nn.Parameter]:
    return {
        name: weight
        for name, weight in network.named_parameters()
        if name.startswith(_DEEP) and weight.ndim == 2 and not name.endswith(_TABLES)
    }
