"""Optimisers: Adam, or Muon for the matrices and Adam for all other weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from jrflow.inference.networks.network import Network

#: Parts of a network whose matrices Muon learns: neither what they end in nor a table of positions.
_DEEP = ("body.", "residual.")
_TABLES = ("position",)

#: Muon's momentum, and the polynomial that, applied so often, brings singular values near 1 (Jordan).
_MOMENTUM = 0.95
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315
_N_STEPS = 5
#: Root mean square of the steps of Adam, over its learning rate (Liu et al. 2025).
_ADAMS_SIZE = 0.2


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, so that directions with small gradients are learnt, too.

    Jordan et al. 2024 (kellerjordan.github.io/posts/muon); steps are as large as Adam's (Liu et al. 2025,
    arXiv 2502.16982), so that one learning rate serves both. PyTorch has it, too, but in bfloat16: 30 times
    slower on a CPU without instructions for that, and too coarse for ranks to agree to rounding.

    Parameters
    ----------
    matrices
        What is learnt; of two dimensions.
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
    """The same singular vectors with singular values near 1 (0.7 to 1.2); small ones are not all the way."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / wide.norm().clamp(min=torch.finfo(matrix.dtype).tiny)
    for _ in range(_N_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_CUBIC, alpha=_QUINTIC), x, beta=_LINEAR)
    return x if wide is matrix else x.T


class Optimisers:
    """Optimisers that take their steps together, each of weights of its own."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @classmethod
    def of(cls, network: Network) -> Optimisers:
        """As the network's configuration wants them."""
        config = network.architecture.network
        matrices = _deep_matrices(network) if config.optimiser == "muon" else {}
        others = [weight for name, weight in network.named_parameters() if name not in matrices]
        adam = torch.optim.Adam(others, lr=config.learning_rate, fused=True)
        return cls(adam, Muon(matrices.values(), lr=config.learning_rate)) if matrices else cls(adam)

    def set_learning_rate(self, rate: float) -> None:
        """Of the next steps of all of them."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
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
        """Take over what ``tensors`` gave of optimisers of the same weights."""
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
