"""Coupled regions: against a plain transcription, in every way a network is computed."""

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

from jrflow.model import MODEL, coupling
from jrflow.model.connectome import Connectome
from jrflow.model.coupling import Coupling
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import SOLVERS
from jrflow.simulation import simulate

REST = RestProtocol(duration=0.3, transient=0.05, background=150.0)
BRAIN = Connectome.synthetic(11, seed=3).normalised("in-strength")
SPARSE = Connectome(np.where(BRAIN.weights > 0.15, BRAIN.weights, 0.0), BRAIN.tract_lengths)


def draw(n_sims: int, n_regions: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Every column parameter differs between simulations and regions, ``v_max`` most of all."""
    rng = np.random.default_rng(seed)
    defaults = MODEL.presets["unit-consistent"].defaults
    p = {name: value * rng.uniform(0.8, 1.2, (n_sims, n_regions)) for name, value in defaults.items()}
    return p | {"v_max": defaults["v_max"] * rng.uniform(0.4, 2.0, (n_sims, n_regions))}


Rows = dict[str, np.ndarray]


def rate(q: Rows, v: np.ndarray, of: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The sigmoid of the regions ``of``, with their own ``v_max``, ``r`` and ``v_0``."""
    return q["v_max"][of] / (1 + np.exp(q["r"][of] * (q["v_0"][of] - v)))


def slopes(q: Rows, y: np.ndarray, received: np.ndarray, background: float) -> np.ndarray:
    """d/dt of (y0, y1, y2, y0', y1', y2'), shape (6, n_regions), from the documented equations."""
    drive = (
        q["A_e"] * q["b_e"] * rate(q, y[1] - y[2]),
        q["A_e"] * q["b_e"] * (background + q["a_2"] * q["C"] * rate(q, q["a_1"] * q["C"] * y[0]) + received),
        q["A_i"] * q["b_i"] * q["a_4"] * q["C"] * rate(q, q["a_3"] * q["C"] * y[0]),
    )
    b = (q["b_e"], q["b_e"], q["b_i"])
    return np.concatenate([y[3:], [drive[m] - 2 * b[m] * y[3 + m] - b[m] ** 2 * y[m] for m in range(3)]])


def complete(p: dict[str, np.ndarray], n_regions: int) -> Rows:
    """Parameters of one simulation with the defaults of those not given, shape (n_regions,) each."""
    given = MODEL.presets["unit-consistent"].defaults | p
    return {name: np.broadcast_to(value, n_regions) for name, value in given.items()}


def transcription(
    p: dict[str, np.ndarray], network: Connectome, G: float, delays: np.ndarray, background: float, dt: float,
    n_steps: int,
) -> np.ndarray:  # fmt: skip
    """Forward Euler of one network, written down from the equations; y1 - y2, shape (n_steps, n_regions)."""
    n = network.n_regions
    q, y = complete(p, n), np.zeros((6, n))
    sources = np.zeros((n_steps, n))
    for k in range(n_steps):
        sources[k] = y[1] - y[2]
        received = np.zeros(n)
        for i in range(n):
            for j in range(n):
                before = max(k - delays[i, j], 0)  # the history is that of the initial state
                received[i] += G * network.weights[i, j] * rate(q, sources[before, j], j)
        y = y + dt * slopes(q, y, received, background)
    return sources


def exact(p: dict[str, np.ndarray], network: Connectome, G: float, times: np.ndarray) -> np.ndarray:
    """DOP853 of one network without delays, background 150 /s; y1 - y2, shape (n_times, n_regions)."""
    n = network.n_regions
    q = complete(p, n)

    def derivative(t: float, flat: np.ndarray) -> np.ndarray:
        y = flat.reshape(6, n)
        return slopes(q, y, G * network.weights @ rate(q, y[1] - y[2]), 150.0).ravel()

    solved = solve_ivp(
        derivative, (0.0, times[-1]), np.zeros(6 * n), "DOP853", t_eval=times, rtol=1e-11, atol=1e-11
    )
    y = solved.y.reshape(6, n, -1)
    return (y[1] - y[2]).T


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
        expected = transcription({n: v[k] for n, v in p.items()}, network, G[k], delays, 150.0, 1e-3, 350)
        np.testing.assert_allclose(ds.source.values[k].T, expected[50:], rtol=0, atol=1e-10)


TWO = Connectome([[0.0, 1.0], [1.0, 0.0]], np.full((2, 2), 20.0))


@pytest.mark.parametrize("speed", [np.inf, 5.0])
def test_a_region_sends_its_own_maximum_rate(speed: float) -> None:
    """A fast region drives a slow one: with the receiver's v_max the difference would be 5 of 10.6 mV."""
    p = {"v_max": np.array([[10.0, 2.0]])}
    ds = simulate(
        p | {"G": 20.0, "speed": speed}, connectome=TWO, protocol=REST, solver="euler", precision="float64"
    )
    expected = transcription({"v_max": p["v_max"][0]}, TWO, 20.0, TWO.delays(speed, 1e-3), 150.0, 1e-3, 350)
    np.testing.assert_allclose(ds.source.values[0].T, expected[50:], rtol=0, atol=1e-10)


@pytest.mark.parametrize("network", [BRAIN, SPARSE, TWO], ids=["dense", "sparse", "two"])
@pytest.mark.parametrize("name", ["exp-ab4", "strang", "heun"])
def test_schemes_solve_a_network_in_which_everything_differs(network: Connectome, name: str) -> None:
    """Against DOP853: at a tenth of a millisecond each scheme is within its own error."""
    p = draw(1, network.n_regions, seed=4)
    ds = simulate(
        p | {"G": 20.0}, connectome=network, protocol=REST, solver=name, precision="float64", dt=1e-4
    )
    times = 0.05 + np.arange(300) * 1e-3
    reference = exact({k: v[0] for k, v in p.items()}, network, 20.0, times)
    error = np.abs(ds.source.values[0].T - reference).max() / np.ptp(reference)
    assert error < (1e-7 if name == "exp-ab4" else 2e-4)


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
