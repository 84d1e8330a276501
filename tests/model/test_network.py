"""Coupled regions: against a plain transcription, in every way a network is computed."""

import numpy as np
import pytest
import xarray as xr

from jrflow.model import coupling
from jrflow.model.connectome import Connectome
from jrflow.model.coupling import Coupling
from jrflow.model.parameters import INFERRED, PRESETS
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import SOLVERS
from jrflow.simulation import simulate

REST = RestProtocol(duration=0.3, transient=0.05, background=150.0)
BRAIN = Connectome.synthetic(11, seed=3).normalised("in-strength")
SPARSE = Connectome(np.where(BRAIN.weights > 0.15, BRAIN.weights, 0.0), BRAIN.tract_lengths)


def draw(n_sims: int, n_regions: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters that differ between simulations and regions."""
    rng = np.random.default_rng(seed)
    defaults = PRESETS["unit-consistent"].defaults
    return {name: defaults[name] * rng.uniform(0.8, 1.2, (n_sims, n_regions)) for name in INFERRED}


def transcription(
    p: dict[str, np.ndarray], network: Connectome, G: float, delays: np.ndarray, background: float, dt: float,
    n_steps: int,
) -> np.ndarray:  # fmt: skip
    """Forward Euler of one network, written down from the equations; y1 - y2, shape (n_steps, n_regions)."""
    n = network.n_regions
    q = PRESETS["unit-consistent"].defaults | p
    A, a, B, b, C = (np.broadcast_to(q[name], n) for name in ("A_e", "b_e", "A_i", "b_i", "C"))

    def S(v: np.ndarray) -> np.ndarray:
        return q["v_max"] / (1 + np.exp(q["r"] * (q["v_0"] - v)))

    y = np.zeros((6, n))
    sources = np.zeros((n_steps, n))
    for k in range(n_steps):
        sources[k] = y[1] - y[2]
        received = np.zeros(n)
        for i in range(n):
            for j in range(n):
                before = max(k - delays[i, j], 0)  # the history is that of the initial state
                received[i] += network.weights[i, j] * S(sources[before, j])
        drive = (
            A * a * S(y[1] - y[2]),
            A * a * (background + q["a_2"] * C * S(q["a_1"] * C * y[0]) + G * received),
            B * b * q["a_4"] * C * S(q["a_3"] * C * y[0]),
        )
        rates = (a, a, b)
        slopes = [drive[m] - 2 * rates[m] * y[3 + m] - rates[m] ** 2 * y[m] for m in range(3)]
        y = y + dt * np.concatenate([y[3:], slopes])
    return sources


@pytest.mark.parametrize("network", [BRAIN, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("speed", [np.inf, 5.0, 40.0])
def test_euler_equals_a_plain_transcription(network: Connectome, speed: float) -> None:
    """Parameters of their own in every simulation and region; to rounding."""
    p, G = draw(3, 11), np.array([0.5, 10.0, 3.0])
    ds = simulate(
        p | {"G": G, "speed": speed}, connectome=network, protocol=REST, solver="euler", precision="float64"
    )
    delays = network.delays(speed, 1e-3)
    for k in range(3):
        exact = transcription({n: v[k] for n, v in p.items()}, network, G[k], delays, 150.0, 1e-3, 350)
        np.testing.assert_allclose(ds.source.values[k].T, exact[50:], rtol=0, atol=1e-10)


def test_the_ways_to_compute_a_network() -> None:
    """Dense without delays by BLAS, sparse by lists, delays in stretches of several steps."""
    dtype = np.dtype(np.float64)
    none = np.zeros((11, 11), np.int64)
    assert Coupling.of(BRAIN.weights, none, 1, dtype).mode == coupling.DENSE
    assert Coupling.of(SPARSE.weights, none, 1, dtype).mode == coupling.SPARSE
    delays = BRAIN.delays(5.0, 1e-3)
    shortest = delays[BRAIN.weights != 0].min()
    delayed = Coupling.of(BRAIN.weights, delays, 1, dtype)
    assert delayed.mode == coupling.DELAYED
    assert delayed.links.width == min(shortest + 1, 16) > 2


def test_each_speed_is_a_network_of_its_own() -> None:
    p = draw(5, 11)
    speeds = np.array([5.0, 40.0, np.inf, 5.0, 12.0])
    together = simulate(p | {"G": 4.0, "speed": speeds}, connectome=BRAIN, protocol=REST)
    for k, speed in enumerate(speeds):
        alone = simulate(
            {n: v[k : k + 1] for n, v in p.items()} | {"G": 4.0, "speed": speed},
            connectome=BRAIN,
            protocol=REST,
        )
        np.testing.assert_array_equal(together.source.values[k], alone.source.values[0])


@pytest.mark.parametrize("speed", [np.inf, 8.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_batch_order_and_threads_change_no_bit(speed: float, precision: str) -> None:
    """Seventy with one speed share histories; three would not fill a block, and have their own."""
    n = 70
    p = draw(n, 11) | {"G": np.linspace(0, 8, n)}
    noisy = RestProtocol(duration=0.1, transient=0.0, background=150.0, noise_sd=20.0)
    whole = simulate(
        p | {"speed": speed}, connectome=BRAIN, protocol=noisy, precision=precision, seed=5, n_threads=2
    )
    chosen = [69, 3, 40]
    part = xr.Dataset(
        {name: (("sim", "region")[: v.ndim], v[chosen]) for name, v in p.items()}, {"sim": chosen}
    )
    again = simulate(
        part.assign(speed=speed), connectome=BRAIN, protocol=noisy, precision=precision, seed=5, n_threads=1
    )
    np.testing.assert_array_equal(again.source.values, whole.source.values[chosen])


def test_regions_have_noise_of_their_own() -> None:
    lonely = Connectome(np.zeros((3, 3)))
    noisy = RestProtocol(duration=2.0, transient=0.5, background=120.0, noise_sd=30.0)
    source = simulate({"A_e": np.full(20, 3.25)}, connectome=lonely, protocol=noisy).source.values
    correlations = [np.corrcoef(sim)[np.triu_indices(3, 1)] for sim in source]
    assert np.abs(np.mean(correlations)) < 0.1
    alone = simulate({"A_e": np.full(20, 3.25)}, protocol=noisy).source.values
    np.testing.assert_array_equal(source[:, 0], alone[:, 0])


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "rk4"])
@pytest.mark.parametrize("speed", [np.inf, 8.0])
def test_order_in_a_network(name: str, speed: float) -> None:
    """Coupling and delays (whole numbers of the largest step) cost no order."""
    lengths = np.round(BRAIN.tract_lengths / 16) * 16
    network = Connectome(np.where(lengths > 0, BRAIN.weights, 0), lengths)
    p = {name: v[:1] for name, v in draw(1, 11).items()} | {"G": 5.0, "speed": speed}
    protocol = RestProtocol(duration=0.3, transient=0.1, background=150.0)

    def run(dt: float, solver: str) -> np.ndarray:
        ds = simulate(
            p, connectome=network, protocol=protocol, solver=solver, dt=dt, sfreq=500.0, precision="float64"
        )
        return ds.source.values

    finest = run(2e-3 / 2**8, "exp-ab4")
    fine = 4 if name in ("euler",) else 1
    steps = [2e-3 / 2**k / fine for k in (1, 2, 3, 4)]
    errors = [float(np.abs(run(dt, name) - finest).max()) for dt in steps]
    slope = -np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0]
    assert slope == pytest.approx(SOLVERS[name].order, abs=0.3), errors


def test_a_stimulus_reaches_only_its_regions() -> None:
    names = [f"r{k}" for k in range(3)]
    chain = Connectome(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]]), names=names)
    protocol = EvokedProtocol(n_trials=3, stim_regions=("r0",))
    source = simulate({"G": 10.0}, connectome=chain, protocol=protocol).source.values[0]
    responses = np.ptp(source, axis=-1)
    assert responses[0] > 1
    assert responses[1] > 1e-2  # through r0 alone
    assert responses[2] < 1e-4


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"G": 1.0}, {}, "'G' belongs to a network"),
        ({"A_e": np.ones((2, 11))}, {}, "expected a number or one value per simulation, received shape"),
        ({"A_e": np.ones((2, 4))}, {"connectome": BRAIN}, "expected 11 regions"),
        ({"speed": -1.0}, {"connectome": BRAIN}, "'speed': expected values above 0 m/s"),
        ({"speed": np.nan}, {"connectome": BRAIN}, "'speed': expected values above 0 m/s"),
        ({"G": -1.0}, {"connectome": BRAIN}, "'G': expected finite values, 0 or greater"),
        ({"speed": 5.0}, {"connectome": BRAIN, "solver": "rk4"}, "solver of 4 stages"),
        (
            {"speed": 200.0},
            {"connectome": SPARSE, "solver": "heun"},
            "heun needs delays of at least one step",
        ),
        ({"speed": 5.0}, {"connectome": Connectome(BRAIN.weights)}, "tract_lengths"),
        (None, {"connectome": BRAIN, "protocol": EvokedProtocol(stim_regions=("V1",))}, "no region 'V1'"),
    ],
)
def test_what_is_impossible_is_refused(parameters, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(parameters, **({"protocol": REST} | options))
