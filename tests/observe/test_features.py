from __future__ import annotations

import numpy as np
import pytest

from jrflow.observe.features import FEATURES, erp_features

TIMES = np.arange(-200, 1001) / 1000


def bump(centre: float, width: float = 0.02) -> np.ndarray:
    return np.exp(-0.5 * ((TIMES - centre) / width) ** 2)


@pytest.fixture
def responses() -> np.ndarray:
    """Positive at 80 ms, negative and half as large at 250 ms; then the same upside down, doubled."""
    response = bump(0.08) - 0.5 * bump(0.25, 0.04)
    return np.stack([response, -2 * response])


def test_known_response(responses: np.ndarray) -> None:
    features = erp_features(responses, TIMES, units="uV").isel(sim=0)
    area = np.sqrt(2 * np.pi)
    expected = {
        "peak_amplitude": 1.0, "peak_latency": 0.08, "rebound_amplitude": -0.5, "half_width": 0.0471,
        "peak_to_peak": 1.5, "area_early": 0.02 * area, "area_late": -0.5 * 0.04 * area,
    }  # fmt: skip
    for name, value in expected.items():
        assert features[name].item() == pytest.approx(value, rel=0.03), name
    # Power of the two bumps: 1 x 0.02 and 0.25 x 0.04, so two thirds of it are early.
    assert features["centroid_latency"].item() == pytest.approx((2 * 0.08 + 0.25) / 3, rel=0.01)
    spread = np.sqrt(2 / 9 * 0.17**2 + (2 * 0.02**2 + 0.04**2) / 3 / 2)
    assert features["temporal_spread"].item() == pytest.approx(spread, rel=0.01)
    assert features["rms"].item() == pytest.approx(np.sqrt(0.03 * np.sqrt(np.pi)), rel=0.01)


def test_a_response_to_one_side_has_no_rebound() -> None:
    features = erp_features(np.stack([bump(0.1), -bump(0.1)]), TIMES, units="uV")
    np.testing.assert_allclose(features["rebound_amplitude"], 0, atol=1e-12)
    assert features["peak_amplitude"].values == pytest.approx([1, -1], rel=0.02)


def test_amplitudes_scale_and_latencies_do_not(responses: np.ndarray) -> None:
    features = erp_features(responses, TIMES, units="uV")
    first, second = features.isel(sim=0), features.isel(sim=1)
    for name, feature in FEATURES.items():
        factor = {"rms": 2.0, "peak_to_peak": 2.0}.get(name, 1.0 if feature.unit == "s" else -2.0)
        assert second[name].item() == pytest.approx(factor * first[name].item()), name


def test_labels(responses: np.ndarray) -> None:
    features = erp_features(responses, TIMES, units="mV", sim=np.array([7, 9]))
    assert list(features.data_vars) == list(FEATURES)
    assert features["sim"].values.tolist() == [7, 9]
    units = {name: features[name].attrs["units"] for name in features}
    assert units["peak_amplitude"] == "mV"
    assert units["area_late"] == "mV s"
    assert units["peak_latency"] == "s"
    assert all(features[name].attrs["long_name"] for name in features)


def test_noise_moves_features_little(responses: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    clean = erp_features(responses[:1], TIMES, units="uV").isel(sim=0)
    noisy = erp_features(responses[:1] + 0.05 * rng.standard_normal((200, 1201)), TIMES, units="uV")
    for name in FEATURES:
        scale = 1.0 if FEATURES[name].unit == "{}" else {"s": 0.1, "{} s": 0.05}[FEATURES[name].unit]
        assert abs(noisy[name] - clean[name]).median() < 0.15 * scale, name


def test_decimated_response_has_nearly_the_same_features(responses: np.ndarray) -> None:
    full = erp_features(responses, TIMES, units="uV")
    decimated = erp_features(responses[:, ::10], TIMES[::10], units="uV")
    for name in FEATURES:
        np.testing.assert_allclose(decimated[name], full[name], rtol=0.12, atol=0.002, err_msg=name)


#: Responses with two deflections of nearly one size, or with a flat top, and what may be undefined of them.
RIVALS = {"peak_latency", "rebound_amplitude"}
DELICATE: dict[str, tuple[np.ndarray, set[str]]] = {
    "one peak": (bump(0.08), set()),
    "second peak 5 % smaller": (bump(0.08) + 0.95 * bump(0.4), set()),
    "two peaks": (bump(0.08) + 0.9999 * bump(0.4), RIVALS),
    "two peaks of opposite sign": (
        bump(0.08) - 0.9999 * bump(0.4),
        RIVALS | {"peak_amplitude", "half_width"},
    ),
    "flat top": (np.clip(1.2 * bump(0.3, 0.1), None, 1.0), set()),
    "flat top with a slope": (np.clip(1.2 * bump(0.3, 0.1), None, 1 + 1e-4 * TIMES), set()),
    "peak at the onset": (bump(0.0, 0.05), set()),
    "peak at the end": (bump(1.0, 0.05), set()),
}


@pytest.mark.parametrize("name", DELICATE)
def test_a_small_change_of_the_response_changes_its_features_little(name: str) -> None:
    """Or the feature is undefined: never a jump."""
    response, undefined = DELICATE[name]
    rng = np.random.default_rng(1)
    wobble = np.stack([np.sin(2 * np.pi * (3 * TIMES + phase)) for phase in rng.random(50)])
    features = erp_features(np.vstack([response, response + 1e-3 * wobble]), TIMES, units="uV")
    for feature, values in features.data_vars.items():
        if feature in undefined:
            assert np.isnan(values).all(), feature
        else:
            scale = 1.0 if "s" not in FEATURES[str(feature)].unit.split() else 0.1
            assert np.ptp(values.values) < 0.1 * scale, feature


def test_where_the_largest_sample_decides_it_jumps() -> None:
    """As the forests want it: in noise two deflections are often equally large."""
    first = bump(0.08) - 0.9999 * bump(0.4)
    rows = np.stack([first, first - 2e-4 * bump(0.4)])
    features = erp_features(rows, TIMES, units="uV", rivals="largest")
    assert features["peak_latency"].values == pytest.approx([0.08, 0.4], abs=1e-3)
    assert features["peak_amplitude"].values == pytest.approx([0.99, -0.99], abs=0.02)


def test_latency_between_samples() -> None:
    """The peak's time is known to better than the sampling interval."""
    centres = 0.2 + np.linspace(0, 1e-3, 5)
    features = erp_features(np.stack([bump(c) for c in centres]), TIMES, units="uV")
    # The running mean over ten samples is centred half a sample early.
    np.testing.assert_allclose(
        features["peak_latency"] - features["peak_latency"][0], centres - 0.2, atol=1e-4
    )


def test_undefined_features_are_nan_and_stay_in_their_row(responses: np.ndarray) -> None:
    rows = np.concatenate([responses, np.zeros((1, 1201)), responses[:1]])
    rows[3, 600] = np.inf
    features = erp_features(rows, TIMES, units="uV")
    assert all(np.isnan(features[name][3]) for name in FEATURES)
    assert features["peak_amplitude"][2] == features["rebound_amplitude"][2] == 0
    for name in ("peak_latency", "half_width", "centroid_latency", "temporal_spread"):
        assert np.isnan(features[name][2])
    alone = erp_features(responses, TIMES, units="uV")
    for name in FEATURES:
        np.testing.assert_allclose(features[name][:2], alone[name], rtol=1e-12)


def test_wrong_shapes_are_refused(responses: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"received \(2, 1201\) and \(1200,\)"):
        erp_features(responses, TIMES[:-1], units="uV")
    with pytest.raises(ValueError, match="before the late window starts"):
        erp_features(responses[:, :300], TIMES[:300], units="uV")
