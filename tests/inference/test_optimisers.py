"""Optimisers that take their steps together, and Muon beside PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from jrflow.config.networks import BiLSTMConfig, NetworkConfig, TransformerConfig
from jrflow.inference.networks.build import build_network
from jrflow.inference.networks.network import Architecture, Network
from jrflow.inference.training.optimisers import Muon, Optimisers, orthogonal
from jrflow.planning.operations import step_operations

TUNED = BiLSTMConfig(samples_per_step=10, hidden=8, head_layers=2, head_width=12, optimiser="muon")


def network_of(config: BiLSTMConfig | TransformerConfig) -> Network:
    torch.manual_seed(0)
    return build_network(Architecture(1, 40, ("A_e", "C"), config, "unit-consistent", {}))


@pytest.mark.parametrize("shape", [(24, 24), (24, 6), (6, 24)])
def test_steps_are_those_of_pytorchs_muon_but_for_its_rounding(shape: tuple[int, int]) -> None:
    theirs_of = getattr(torch.optim, "Muon", None)
    if theirs_of is None:
        pytest.skip("PyTorch has a Muon from 2.9 on")
    torch.manual_seed(1)
    ours = nn.Parameter(torch.randn(shape))
    theirs = nn.Parameter(ours.detach().clone())
    before = ours.detach().clone()
    optimisers = (
        Muon([ours], lr=0.01),
        theirs_of([theirs], lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    moved = (ours - before).norm()
    assert moved > 0.01
    assert (ours - theirs).norm() < 0.02 * moved  # five steps of bfloat16


@pytest.mark.parametrize("shape", [(30, 30), (40, 8), (8, 40)])
def test_a_step_goes_in_all_directions_alike(shape: tuple[int, int]) -> None:
    torch.manual_seed(2)
    u, _, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    uneven = u @ torch.diag(torch.logspace(0, -2, min(shape))) @ v
    found = torch.linalg.svdvals(orthogonal(uneven))
    assert 0.65 < found.min() <= found.max() < 1.25
    aligned = u.T @ orthogonal(uneven) @ v.T
    torch.testing.assert_close(aligned, torch.diag(torch.diag(aligned)), atol=1e-4, rtol=0)
    assert not orthogonal(torch.zeros(shape)).any()


@pytest.mark.parametrize("config", [TUNED, TransformerConfig(optimiser="muon", width=16)])
def test_muon_learns_matrices_before_the_head_and_adam_the_rest(
    config: BiLSTMConfig | TransformerConfig,
) -> None:
    network = network_of(config)
    adam, muon = Optimisers.of(network).parts
    names = {id(weight): name for name, weight in network.named_parameters()}
    learnt = [[names[id(w)] for group in part.param_groups for w in group["params"]] for part in (adam, muon)]
    assert sorted(learnt[0] + learnt[1]) == sorted(names.values())
    assert {"head.weight", "head.bias"} <= set(learnt[0])
    assert not {"body.position"} & set(learnt[1])
    shapes = dict(network.named_parameters())
    assert all(shapes[name].ndim == 2 for name in learnt[1])
    left = [name for name in learnt[0] if shapes[name].ndim == 2]
    assert left in (["head.weight"], ["body.position", "head.weight"])


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_they_go_on_as_if_nothing_had_happened(optimiser: str) -> None:
    config = TUNED.model_copy(update={"optimiser": optimiser})
    networks = [network_of(config) for _ in range(2)]
    both = [Optimisers.of(network) for network in networks]
    assert len(both[0].parts) == (2 if optimiser == "muon" else 1)
    observed, sd, wanted = torch.randn(30, 1, 40), torch.ones(30), torch.randn(30, 2)
    for step in range(6):
        if step == 3:
            networks[1].load_state_dict(networks[0].state_dict())
            both[1].restore({name: tensor.clone() for name, tensor in both[0].tensors().items()})
        for network, optimisers in zip(networks, both, strict=True):
            if step >= 3 or network is networks[0]:
                optimisers.set_learning_rate(0.01 / (1 + step))
                optimisers.zero_grad()
                network(observed, sd, wanted).backward()
                optimisers.step()
    ours, theirs = (network.state_dict() for network in networks)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not torch.equal(ours["head.weight"], network_of(config).state_dict()["head.weight"])


@pytest.mark.parametrize("n_inputs", [1, 7])
@pytest.mark.parametrize("kind", ["bilstm", "lstm", "cnn_bilstm", "transformer", "mlp"])
def test_the_cost_of_a_step_is_that_of_the_matrices_it_learns(kind: str, n_inputs: int) -> None:
    adapter: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
    sizes = {"width": 16, "layers": 3} if kind == "transformer" else {"hidden": 8, "layers": 2}
    config = adapter.validate_python(
        {"kind": kind, "optimiser": "muon", "head_layers": 2, "head_width": 12, **sizes}
    )
    network = build_network(Architecture(n_inputs, 40, ("A_e", "C"), config, "unit-consistent", {}))
    muon = Optimisers.of(network).parts[1]
    shapes = [tuple(w.shape) for group in muon.param_groups for w in group["params"]]
    expected = sum(30 * min(shape) ** 2 * max(shape) for shape in shapes)
    assert step_operations(config, 40, n_inputs) == expected
    assert step_operations(config.model_copy(update={"optimiser": "adam"}), 40, n_inputs) == 0
