"""Verdicts on recordings whose noise, rank and second sources are known; no network is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import toeplitz
from scipy.stats import kstest

from jrflow.inference.recordings.baseline import baseline_noise
from jrflow.inference.recordings.detection import (
    detectable_component,
    detectable_excess,
    excess,
    largest_eigenvalue,
)
from jrflow.inference.recordings.evidence import Tangent
from jrflow.inference.recordings.goodness import goodness
from jrflow.inference.recordings.verdict import Goodness, headline, sentences
from jrflow.observe.covariance import factor
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.observe.processing import Processing
from jrflow.observe.projection import baseline_correct
from jrflow.observe.window import Window

C = 24
TIMES = np.arange(-25, 101) * 4e-3
NAMES = [f"E{i}" for i in range(C)]
COVARIANCE = 0.3 * (np.eye(C) - 1 / C)
NOISE = EvokedNoise(COVARIANCE, 59, TIMES, len(TIMES))
GAIN = np.random.default_rng(3).standard_normal(C)
GAIN -= GAIN.mean()
AWAY = np.random.default_rng(4).standard_normal(C)
AWAY -= AWAY.mean()
LEAD_FIELD = xr.DataArray(GAIN[:, None], {"channel": NAMES, "region": ["column"]}, ("channel", "region"))
WINDOW = Window.of(TIMES, 125.0, 0.0)
EPOCH = Epoch(TIMES, len(TIMES), window=WINDOW)
OBSERVATION = Observation.of_electrodes("projected", LEAD_FIELD, NOISE, EPOCH)
#: A response of the source, mV, and what another source does.
SOURCE = baseline_correct(np.exp(-(((TIMES - 0.1) / 0.03) ** 2)) * (TIMES > 0), TIMES)
OTHER = baseline_correct(np.exp(-(((TIMES - 0.2) / 0.04) ** 2)), TIMES)


def of_correlation(rho: np.ndarray) -> np.ndarray:
    return baseline_correct(baseline_correct(toeplitz(rho), TIMES).T, TIMES)


LAGS = np.arange(len(TIMES))
COLOURS = {
    "white": NOISE.temporal_covariance(),
    "AR(1)": of_correlation(np.exp(-LAGS / 5)),
    "1/f": of_correlation(sum(np.exp(-LAGS / tau) for tau in (1, 4, 16, 64, 256)) / 5),
}


def drawn(seed: int, colour: str = "white", size: float = 1.0) -> np.ndarray:
    """Noise, uV, (C, n_times)."""
    rng, spatial, root = np.random.default_rng(1000 + seed), factor(COVARIANCE), factor(COLOURS[colour])
    white = rng.standard_normal((spatial.shape[1], root.shape[1]))
    noise: np.ndarray = size * spatial @ white @ root.T
    return noise


def judged(
    eeg: np.ndarray, source: np.ndarray = SOURCE, noise: EvokedNoise = NOISE, tangent: Tangent | None = None
) -> Goodness:
    data = xr.DataArray(eeg, {"channel": NAMES, "time": noise.times}, ("channel", "time"))
    return goodness(data, source[None], LEAD_FIELD, noise, OBSERVATION, [tangent])[0]


def response(scale: float = 5.0) -> np.ndarray:
    found: np.ndarray = np.outer(GAIN, scale * SOURCE)
    return found


@pytest.mark.parametrize(
    ("colour", "size"), [("white", 1.0), ("white", 2.0), ("white", 0.13), ("AR(1)", 1.0), ("1/f", 1.0)]
)
def test_of_a_right_model_p_is_uniform_whatever_the_noise(colour: str, size: float) -> None:
    """Assumed white and of size 1, it may be coloured, louder, or overstated (59 averages saved as 1)."""
    found = [judged(20 * response() + drawn(seed, colour, size), 100 * SOURCE) for seed in range(60)]
    p = np.array([one.p_value for one in found], dtype=float)
    assert kstest(p, "uniform").pvalue > 1e-3
    assert (p < 0.01).mean() <= 0.07
    assert np.mean([one.verdict == "explained" for one in found]) > 0.9
    if colour == "white":
        assert np.median([one.noise_ratio or 0 for one in found]) == pytest.approx(size**2, rel=0.1)


@pytest.mark.parametrize("colour", COLOURS)
def test_noise_alone_is_no_response(colour: str) -> None:
    found = [judged(drawn(seed, colour, 2.0)) for seed in range(30)]
    assert [one.verdict for one in found].count("no response above noise") >= 27


@pytest.mark.parametrize("n_removed", [0, 6])
def test_a_second_source_is_found_at_any_rank(n_removed: int) -> None:
    """Of the size that is called detectable it is found in about 80 %; removed components hide nothing."""
    away = np.random.default_rng(0).standard_normal((C, n_removed))
    away = np.linalg.qr(away - away.mean(axis=0))[0]
    kept = np.eye(C) - away @ away.T
    gain = kept @ GAIN
    lead_field = LEAD_FIELD.copy(data=gain[:, None])

    def verdict(seed: int, size: float) -> Goodness:
        second = np.outer(AWAY, OTHER)
        second *= size / np.sqrt((second**2).mean())
        eeg = kept @ (response() + drawn(seed) + second)
        data = xr.DataArray(eeg, {"channel": NAMES, "time": TIMES}, ("channel", "time"))
        return goodness(data, 5 * SOURCE[None], lead_field, NOISE, OBSERVATION, [None])[0]

    right = [verdict(seed, 0.0) for seed in range(30)]
    assert {one.rank for one in right} == {C - 1 - n_removed}
    assert sum(one.verdict == "explained" for one in right) >= 28
    size = float(np.median([one.detectable_place_uv or 0 for one in right]))
    assert sum(verdict(seed, 2 * size).verdict != "explained" for seed in range(20)) >= 18
    assert sum(verdict(seed, 0.3 * size).verdict != "explained" for seed in range(20)) <= 5


def test_a_wrong_time_course_is_found_though_all_channels_drown_it() -> None:
    size = judged(response() + drawn(0), 5 * SOURCE).detectable_course_mv
    assert size is not None
    bump = OTHER * size / np.sqrt((OTHER**2).mean())
    for factor_, least, most in ((0.0, 0, 2), (1.5, 18, 20)):
        eeg = [response() + drawn(seed) + np.outer(GAIN, factor_ * bump) for seed in range(20)]
        found = [judged(one, 5 * SOURCE) for one in eeg]
        assert least <= sum(one.verdict != "explained" for one in found) <= most


def artefact(channel: int, course: np.ndarray) -> np.ndarray:
    eeg = response() + drawn(1)
    eeg[channel] += baseline_correct(course, TIMES)
    centred: np.ndarray = eeg - eeg.mean(axis=0)
    return centred


@pytest.mark.parametrize(
    ("course", "channel"),
    [
        (500 * np.sin(2 * np.pi * 10 * TIMES), 5),
        (100 * np.random.default_rng(0).standard_normal(len(TIMES)), 11),
        (40.0 * (TIMES > 0.15), 7),
        (1e4 * TIMES, 2),
    ],
    ids=["10-Hz", "broken-electrode", "jump-after-the-onset", "drift"],
)
def test_a_channel_with_an_artefact_is_named_and_nothing_is_judged(course: np.ndarray, channel: int) -> None:
    found = judged(artefact(channel, course), 5 * SOURCE)
    assert found.verdict == "cannot be judged"
    assert found.channels == (f"E{channel}",)
    assert f"E{channel}" in " ".join(sentences(asdict(found)))


def test_a_constant_channel_is_named_and_nothing_is_judged() -> None:
    """A disconnected electrode, or a reference that was kept: not one noiseless channel of the brain."""
    eeg = response() + drawn(1)
    eeg[9] = 0.0
    found = judged(eeg, 5 * SOURCE)
    assert found.verdict == "cannot be judged"
    assert "E9" in found.reasons[0]
    assert "constant" in found.reasons[0]


def spatial_rhythm() -> tuple[np.ndarray, EvokedNoise]:
    rhythm = np.outer(AWAY, np.sin(2 * np.pi * 10 * TIMES + 1))
    return baseline_correct(response() + drawn(2) + 3 * rhythm, TIMES), NOISE


IMPOSSIBLE: dict[str, Callable[[], tuple[np.ndarray, EvokedNoise]]] = {
    "rhythm that the covariance lacks": spatial_rhythm,
    "all zero": lambda: (np.zeros((C, len(TIMES))), NOISE),
    "NaN": lambda: (np.where(np.arange(C)[:, None] == 4, np.nan, drawn(0)), NOISE),
    "infinite": lambda: (np.where(np.arange(C)[:, None] == 4, np.inf, drawn(0)), NOISE),
    "covariance of zeros": lambda: (drawn(0), replace(NOISE, covariance=0 * COVARIANCE)),
    "covariance of NaN": lambda: (drawn(0), replace(NOISE, covariance=np.nan * COVARIANCE)),
    "no noise at all": lambda: (response(), NOISE),
    "rank 2": lambda: (np.outer(GAIN, drawn(0)[0]) + np.outer(AWAY, drawn(1)[0]), NOISE),
}


@pytest.mark.parametrize("lowpass", [20.0, 30.0, 40.0])
def test_noise_that_was_filtered_is_judged(lowpass: float) -> None:
    """What a filter leaves of the frequencies that it stops is not taken for noise of another shape."""
    noise = NOISE.processed(Processing(lowpass=lowpass))
    epoch = replace(EPOCH, processing=noise.processing)
    observation = Observation.of_electrodes("projected", LEAD_FIELD, noise, epoch)
    spatial, root = factor(COVARIANCE), factor(noise.whole_temporal_covariance())
    found = []
    for seed in range(20):
        rng = np.random.default_rng(500 + seed)
        eeg = spatial @ rng.standard_normal((spatial.shape[1], root.shape[1])) @ root.T + response()
        data = xr.DataArray(eeg, {"channel": NAMES, "time": TIMES}, ("channel", "time"))
        found += goodness(data, SOURCE[None], LEAD_FIELD, noise, observation, [None])
    assert not [judgement.reasons for judgement in found if judgement.verdict == "cannot be judged"]


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_cannot_be_judged_is_said_with_its_reason_and_in_valid_json(kind: str) -> None:
    eeg, noise = IMPOSSIBLE[kind]()
    found = judged(eeg, 5 * SOURCE, noise)
    assert found.verdict == "cannot be judged"
    assert len(found.reasons) == 1
    json.dumps(asdict(found), allow_nan=False)


def test_a_reason_names_the_channel_that_is_not_finite() -> None:
    eeg, noise = IMPOSSIBLE["NaN"]()
    assert "E4" in judged(eeg, 5 * SOURCE, noise).reasons[0]


@pytest.mark.parametrize(("size", "word"), [(59**-0.5, "larger"), (2.0, "smaller"), (1.0, None)])
def test_wrongly_stated_noise_is_reported(size: float, word: str | None) -> None:
    said = " ".join(sentences(asdict(judged(response() + drawn(3, size=size), 5 * SOURCE))))
    assert (f"The assumed noise is {word} than the noise measured" in said) is (word is not None)
    assert ("The assumed noise" in said) is (word is not None)


def test_a_response_in_the_baseline_is_not_taken_for_noise() -> None:
    """It oscillates on; the directions across the source have no part in it."""
    source = baseline_correct(30 * np.sin(2 * np.pi * 6 * TIMES), TIMES)
    eeg = np.outer(GAIN, source) + drawn(4)
    assert baseline_noise(eeg, GAIN, NOISE, WINDOW).inflation < 1.3
    assert judged(eeg, source).verdict == "explained"
    second = eeg + 2 * np.outer(AWAY, OTHER * (TIMES > 0.1))
    assert judged(second, source).verdict != "explained"


@pytest.mark.parametrize(("n_before", "sfreq"), [(1, 1000.0), (8, 125.0), (3, 125.0)])
def test_a_baseline_of_one_block_says_nothing_about_noise(n_before: int, sfreq: float) -> None:
    """Corrected by its mean, the average of such a baseline is 0, whatever the noise."""
    times = np.arange(1 - n_before, 151) / 1000
    assumed = replace(NOISE, times=times, period=len(times))
    data = replace(assumed, covariance=9 * COVARIANCE).sample(1, np.random.default_rng(0))[0]
    window = Window.of(times, sfreq, 0.0)
    assert baseline_noise(data, GAIN, assumed, window).inflation == 1
    found = judged(data, np.zeros(len(times)), assumed)
    assert found.verdict == "no response above noise"
    assert found.noise_ratio == pytest.approx(9, rel=0.2)
    json.dumps(asdict(found), allow_nan=False)


def test_fitted_parameters_take_away_degrees_of_freedom() -> None:
    """After a linear fit of eight shapes, p is uniform only if their effect is counted."""
    shapes = np.stack([baseline_correct(np.sin((k + 1) * 8 * TIMES) * (TIMES > 0), TIMES) for k in range(8)])
    weak = Tangent(shapes, np.zeros(8), 1e-9 * np.eye(8))
    values = []
    for seed in range(60):
        eeg = response() + drawn(seed)
        course = GAIN @ (eeg - response()) / (GAIN @ GAIN)
        fitted = np.linalg.lstsq(shapes.T, course, rcond=None)[0] @ shapes
        values.append([judged(eeg, 5 * SOURCE + fitted, tangent=t).p_course for t in (weak, None)])
    counted, not_counted = np.array(values, dtype=float).T
    assert kstest(counted, "uniform").pvalue > 1e-2
    assert kstest(not_counted, "uniform").pvalue < 1e-2


def test_the_tests_have_their_level_and_their_power() -> None:
    rng, n, p, level = np.random.default_rng(0), 30, 50, 0.01
    white = rng.standard_normal((500, n, p))
    assert np.mean([largest_eigenvalue(one)[2] < 0.05 for one in white]) == pytest.approx(0.05, abs=0.03)
    one = np.zeros((n, p))
    one[3] = np.sin(np.arange(p)) * np.sqrt(
        detectable_component(n, p, level) / (np.sin(np.arange(p)) ** 2).sum()
    )
    found = np.mean([largest_eigenvalue(noise + one)[2] < level for noise in white])
    assert found == pytest.approx(0.8, abs=0.1)
    course = np.full(p, np.sqrt(detectable_excess(p, 1e5, level) / p))
    found = np.mean([excess(float(((noise[0] + course) ** 2).mean()), p, 1e5) < level for noise in white])
    assert found == pytest.approx(0.8, abs=0.06)


def test_an_explained_response_states_what_it_could_have_missed() -> None:
    found = asdict(judged(response() + drawn(5), 5 * SOURCE))
    said = " ".join(sentences(found))
    assert headline(found["verdict"]) == "explained by the model"
    assert "probability of 80 %" in said
    assert f"{found['detectable_place_uv']:.2g} uV" in said
    assert headline("no response above noise") == "no response above noise"
