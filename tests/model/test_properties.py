"""What must hold whatever the numbers: company, order and the clock change nothing."""

from itertools import pairwise

import numpy as np
import xarray as xr
from hypothesis import given, settings, strategies as st

from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.simulation import simulate

SHORT = EvokedProtocol(n_trials=3, isi=0.3, tmin=-0.05, tmax=0.25, transient=0.05)
NOISY = RestProtocol(duration=0.1, transient=0.02, background=180.0, noise_sd=30.0)
N = 140
FEW = settings(max_examples=settings().max_examples // 4)


def draw(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        k: MODEL.presets["unit-consistent"].defaults[k] * rng.uniform(0.5, 1.5, N) for k in MODEL.inferred
    }


@FEW
@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(1, N - 1), max_size=4, unique=True))
def test_chunks_change_no_bit(seed: int, cuts: list[int]) -> None:
    p = draw(seed)
    whole = simulate(p, protocol=SHORT).source.values
    edges = [0, *sorted(cuts), N]
    parts = [
        simulate({k: v[a:b] for k, v in p.items()}, protocol=SHORT).source.values for a, b in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@FEW
@given(seed=st.integers(0, 99), data=st.data())
def test_permuted_parameters_give_permuted_results(seed: int, data: st.DataObject) -> None:
    p = draw(seed)
    order = np.array(data.draw(st.permutations(range(N))))
    whole = simulate(p, protocol=SHORT).source.values
    permuted = simulate({k: v[order] for k, v in p.items()}, protocol=SHORT).source.values
    np.testing.assert_array_equal(permuted, whole[order])


@FEW
@given(seed=st.integers(0, 2**40), cut=st.integers(1, N - 1))
def test_noise_belongs_to_the_simulation(seed: int, cut: int) -> None:
    ids = np.arange(N) * 3 + 5
    A_e = np.linspace(3, 4, N)
    whole = simulate(xr.Dataset({"A_e": ("sim", A_e)}, {"sim": ids}), protocol=NOISY, seed=seed).source.values
    part = xr.Dataset({"A_e": ("sim", A_e[cut:])}, {"sim": ids[cut:]})
    np.testing.assert_array_equal(simulate(part, protocol=NOISY, seed=seed).source.values, whole[cut:])


@FEW
@given(later=st.integers(1, 400))
def test_a_later_stimulus_shifts_the_response(later: int) -> None:
    """From the resting state: what comes before the stimulus only has to be long enough."""
    early = EvokedProtocol(n_trials=2, isi=0.6, tmin=-0.1, tmax=0.4, transient=2.0)
    late = EvokedProtocol(n_trials=2, isi=0.6, tmin=-0.1, tmax=0.4, transient=2.0 + later * 1e-3)
    first, second = (simulate(protocol=p, precision="float64").source.values for p in (early, late))
    np.testing.assert_allclose(second, first, atol=1e-7 * np.ptp(first))
