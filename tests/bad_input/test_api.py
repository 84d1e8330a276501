"""Bad input to the Python API: an error that names it and what was expected, or a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import jrflow
from jrflow.model.plausible import PlausibilityWarning

SLOW = jrflow.RestProtocol(duration=2, transient=0)
REST = jrflow.RestProtocol(duration=0.05, transient=0.0)
BRAIN = jrflow.Connectome.synthetic(3, seed=1)
NAMES = list(BRAIN.names)
TWO = [3.0, 4.0]

Call = Callable[[], Any]
Cases = dict[str, tuple[Call, tuple[str, ...]]]


def run(parameters: Any = None, **options: Any) -> xr.Dataset:
    return jrflow.simulate(parameters, **({"protocol": REST} | options))


def network(parameters: Any = None, **options: Any) -> xr.Dataset:
    return run(parameters, connectome=BRAIN, **options)


def series(values: list[float], index: Any) -> pd.Series:
    return pd.Series(values, index=index)


def labelled(values: Any, dims: Any = "sim", attrs: Any = None, **coords: Any) -> xr.DataArray:
    return xr.DataArray(values, dims=dims, coords=coords, attrs=attrs)


def evoked(name: str, value: Any) -> Call:
    return lambda: jrflow.EvokedProtocol(**{name: value})


def field(name: str, value: Any) -> Call:
    return lambda: jrflow.lead_field(**{name: value})


#: A call, and words that its message must hold: the argument's name first, then what was received.
LABELS: Cases = {
    "other ids": (lambda: run({"A_e": series(TWO, [7, 9]), "A_i": series(TWO, [7, 8])}), ("A_e", "A_i")),
    "fewer ids": (lambda: run({"A_e": series(TWO, [7, 9]), "A_i": series([3.0], [7])}), ("A_e", "A_i", "9")),
    "default index": (lambda: run({"A_e": series(TWO, [7, 9]), "A_i": series(TWO, None)}), ("A_i", "ids")),
    "mixed orders": (
        lambda: run({"A_e": series(TWO, [7, 9]), "A_i": series(TWO, [9, 7]), "C": [100.0, 200.0]}),
        ("'C'", "ids"),
    ),
    "coordinates": (
        lambda: run({"A_e": labelled(TWO, sim=[1, 2]), "C": labelled(TWO, sim=[1, 3])}), ("A_e", "'C'", "2"),
    ),
    "series and array": (lambda: run({"A_e": series(TWO, [7, 9]), "C": labelled(TWO, sim=[1, 3])}), ("'C'",)),
    "half ids": (lambda: run(pd.DataFrame({"A_e": TWO}, pd.Index([0.5, 1.5], name="sim"))), ("ids", "0.5")),
    "half ids of an array": (lambda: run({"A_e": labelled(TWO, sim=[0.5, 1.5])}), ("A_e", "0.5")),
    "half ids of a Dataset": (lambda: run(xr.Dataset({"A_e": ("sim", TWO)}, {"sim": [0.5, 1]})), ("0.5",)),
    "missing ids": (lambda: run(pd.DataFrame({"A_e": TWO}, pd.Index([1, np.nan]))), ("ids", "nan")),
    "negative ids": (lambda: run(pd.DataFrame({"A_e": TWO}, [-1, 2])), ("ids", "-1")),
    "repeated ids": (lambda: run(pd.DataFrame({"A_e": TWO}, [1, 1])), ("ids", "distinct", "1")),
    "repeated ids of a series": (lambda: run({"A_e": series(TWO, [4, 4])}), ("A_e", "distinct", "4")),
    "text as ids": (lambda: run(pd.DataFrame({"A_e": TWO}, ["a", "b"])), ("ids", "'a'", "reset_index")),
    "truth as ids": (lambda: run(pd.DataFrame({"A_e": TWO}, [True, False])), ("ids", "bool")),
    "another index": (lambda: run(pd.DataFrame({"A_e": TWO}, pd.Index([1, 2], name="k"))), ("k", "sim")),
    "two levels": (
        lambda: run(pd.DataFrame({"A_e": TWO}, pd.MultiIndex.from_product([[1], [2, 3]]))), ("index", "sim"),
    ),
    "large ids": (lambda: run(pd.DataFrame({"A_e": TWO}, np.array([1, 2**63], np.uint64))), ("ids", "2**63")),
    "ids as a column": (lambda: run(pd.DataFrame({"sim": [1, 2], "A_e": TWO})), ("set_index",)),
    "two columns": (lambda: run(pd.DataFrame([TWO], columns=["A_e", "A_e"])), ("A_e", "column")),
    "other regions": (lambda: network({"A_e": labelled(TWO, "region", region=["a", "b"])}), ("A_e", "'a'")),
    "too few regions": (lambda: network({"A_e": labelled(TWO, "region", region=NAMES[:2])}), (NAMES[2],)),
    "another dim": (lambda: run({"A_e": labelled(TWO, "draw")}), ("A_e", "draw", "sim")),
    "volts": (lambda: run({"A_e": labelled(TWO, attrs={"units": "V"})}), ("A_e", "mV", "'V'")),
    "milliseconds": (lambda: run({"b_e": labelled([0.1], attrs={"units": "1/ms"})}), ("b_e", "1/s", "1/ms")),
    "volts of a column": (
        lambda: run(xr.Dataset({"v_0": ("sim", [6e-3], {"units": "V"})})), ("v_0", "mV", "'V'"),
    ),
}  # fmt: skip

VALUES: Cases = {
    "rows": (lambda: run([[1, 2]]), ("parameters", "mapping", "list")),
    "one array": (lambda: run(np.ones(3)), ("parameters", "mapping", "array")),
    "text": (lambda: run("A_e"), ("parameters", "mapping", "'A_e'")),
    "unknown": (lambda: run({"Ae": 3.0}), ("'Ae'", "A_e")),
    "unknown number": (lambda: run({1: 3.0}), ("1", "A_e")),
    "truth": (lambda: run({"A_e": True}), ("A_e", "truth")),
    "truths": (lambda: run({"A_e": [True, False]}), ("A_e", "truth")),
    "number in text": (lambda: run({"A_e": "3.25"}), ("A_e", "text")),
    "None": (lambda: run({"A_e": [3.0, None]}), ("A_e", "real numbers", "objects")),
    "missing values": (lambda: run({"A_e": pd.array([3, None], dtype="Int64")}), ("A_e", "received")),
    "complex": (lambda: run({"A_e": 3 + 1j}), ("A_e", "complex")),
    "dates": (lambda: run({"A_e": np.array(["2020-01-01"], "M8[D]")}), ("A_e", "datetime")),
    "masked": (lambda: run({"A_e": np.ma.array(TWO, mask=[0, 1])}), ("A_e", "masked")),
    "ragged": (lambda: run({"A_e": [[1.0], [2.0, 3.0]]}), ("A_e", "length")),
    "a mapping": (lambda: run({"A_e": {"a": 1}}), ("A_e", "real numbers")),
    "a table": (lambda: run({"A_e": pd.DataFrame({"x": TWO})}), ("A_e", "DataFrame")),
    "huge": (lambda: run({"A_e": 10**400}), ("A_e",)),
    "infinite": (lambda: run({"A_e": [3.0, np.inf]}), ("A_e", "inf", "position 1")),
    "zero": (lambda: run({"b_i": 0}), ("b_i", "above 0", "0")),
    "no value": (lambda: run({"A_e": []}), ("A_e", "(0,)")),
    "counts": (lambda: run({"A_e": TWO, "C": [1.0, 2.0, 3.0]}), ("A_e", "'C'", "2", "3")),
    "counts of labels": (
        lambda: run({"A_e": series(TWO, [1, 2]), "C": [1.0, 2.0, 3.0]}),
        ("A_e", "'C'", "3"),
    ),
    "G of a column": (lambda: run({"G": 1.0}), ("'G'", "connectome")),
}

SETTINGS: Cases = {
    **{
        f"{name}={value!r}": (lambda name=name, value=value: run(**{name: value}), (name, *words))
        for name, value, *words in [
            ("dt", 0, "above 0", "0"), ("dt", -1e-3, "-0.001"), ("dt", np.nan, "nan"), ("dt", np.inf, "inf"),
            ("dt", "1", "'1'"), ("dt", True, "True"), ("dt", None, "None"), ("dt", 1e-14, "steps"),
            ("sfreq", 0, "0"), ("sfreq", np.nan, "nan"), ("sfreq", -1.0, "-1.0"), ("sfreq", [1000], "list"),
            ("seed", 2**64, "18446744073709551615"), ("seed", -1, "-1"), ("seed", None, "None"),
            ("seed", 1.5, "1.5"), ("seed", True, "True"), ("seed", "0", "'0'"),
            ("max_source", -1, "-1"), ("max_source", 0, "0"), ("max_source", np.nan, "nan"),
            ("max_source", None, "None"),
            ("n_threads", 0, "at least 1"), ("n_threads", -1, "-1"), ("n_threads", 1.5, "1.5"),
            ("n_threads", True, "True"),
            ("steady_state_tolerance", np.nan, "nan"), ("steady_state_tolerance", -1e-9, "-1e-09"),
            ("steady_state_tolerance", 1, "1"), ("steady_state_tolerance", "auto", "'auto'"),
            ("preset", "unit-consistant", "did you mean 'unit-consistent'"), ("preset", None, "None"),
            ("preset", ["as-published"], "list"),
            ("solver", "rk-4", "did you mean 'rk4'"), ("solver", "", "exp-ab4"), ("solver", 4, "4"),
            ("backend", "gpu", "cuda"), ("backend", None, "None"), ("precision", 32, "float32"),
            ("precision", "double", "float64"),
            ("protocol", {"kind": "rest"}, "RestProtocol", "dict"), ("protocol", "rest", "'rest'"),
            ("protocol", jrflow.RestProtocol, "type"),
            ("connectome", [[0, 1], [1, 0]], "jrflow.Connectome", "list"), ("connectome", "76", "'76'"),
        ]
    },
    "connectome=eye": (lambda: run(connectome=np.eye(3)), ("connectome", "jrflow.Connectome", "(3, 3)")),
    "a step beyond validity": (
        lambda: run(protocol=jrflow.EvokedProtocol(n_trials=4), dt=0.05, sfreq=20),
        ("dt", "0.05", "exp-ab4", "b_e", "0.01"),
    ),
    "b_e for all": (lambda: run({"b_e": 1e5}), ("b_e", "100000", "1e-05")),
    "too long for euler": (lambda: run({"b_i": 500.0}, solver="euler"), ("b_i", "euler", "0.0008")),
    "terabytes": (lambda: run({"A_e": np.full(10**6, 3.0)}, protocol=jrflow.RestProtocol(duration=3000.0)),
                  ("GiB", "1000000 simulations")),
    "endless": (lambda: run(protocol=jrflow.RestProtocol(duration=3600.0), dt=1e-6), ("steps", "dt")),
    "no such region": (
        lambda: network(protocol=jrflow.EvokedProtocol(stim_regions=("V1",))), ("stim_regions", "'V1'")
    ),
}  # fmt: skip

PROTOCOLS: Cases = {
    f"{name}={value!r}": (evoked(name, value), (name, *words))
    for name, value, *words in [
        ("isi", 0, "greater than 0", "0"), ("isi", "1", "'1'"), ("isi", True, "True"), ("isi", np.nan, "nan"),
        ("isi", np.inf, "inf"), ("isi", 0.01, "overlap"), ("n_trials", 1, "1"), ("n_trials", 2.5, "2.5"),
        ("n_trials", True, "True"), ("stim_regions", (), "None", "nothing"), ("stim_regions", "V1", "'V1'"),
        ("gains", (1, 2), "gains"), ("gains", ("a", 1, 1), "'a'"), ("noise_sd", -1, "-1"),
        ("tmin", 0.1, "0.1"),
        ("tmax", 0, "0"), ("transient", -1, "-1"), ("noise_distribution", "gaussian", "normal", "'gaussian'"),
        ("n_trial", 5, "argument"),
    ]
}  # fmt: skip
PROTOCOLS["rest"] = (lambda: jrflow.RestProtocol(duration=-1), ("duration", "-1"))

FIELDS: Cases = {
    f"{name}={value!r}": (field(name, value), (name, *words))
    for name, value, *words in [
        ("position", (np.nan, 0, 0), "nan"), ("position", (1, 2), "position"), ("position", "abc", "'abc'"),
        ("position", (400, 0, 0), "mm", "20 mm"), ("extent", 1000, "1000", "mm"), ("extent", -1, "-1"),
        ("extent", True, "True"), ("extent", np.nan, "nan"), ("moment", 0, "0"), ("moment", "13", "'13'"),
        ("montage", "biosemi65", "biosemi64"), ("montage", 64, "64"),
        ("montage", "artinis-octamon", "optodes"),
        ("recording", 5, "path", "5"), ("forward", b"x", "path"),
    ]
}  # fmt: skip

ALL = {
    f"{group}: {name}": case
    for group, cases in {
        "labels": LABELS, "values": VALUES, "settings": SETTINGS, "protocol": PROTOCOLS, "lead field": FIELDS,
    }.items()
    for name, case in cases.items()
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::jrflow.PlausibilityWarning")
@pytest.mark.parametrize("name", ALL)
def test_bad_input_is_refused_by_name(name: str) -> None:
    call, words = ALL[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    message = str(caught.value)
    assert not [word for word in words if word not in message], message
    assert not [word for word in ("pydantic", "https://", "Input should") if word in message], message


NOTICED: Cases = {
    "A_e in V": (lambda: run({"A_e": [3.25e-3]}), ("A_e", "V", "3.25 mV")),
    "A_i in V": (lambda: run({"A_i": 22e-3}), ("A_i", "22 mV")),
    "v_0 in V": (lambda: run({"v_0": 6e-3}), ("v_0", "6 mV")),
    "b_e in 1/ms": (lambda: run({"b_e": 0.1}), ("b_e", "1/ms", "100 1/s")),
    "v_max in 1/ms": (lambda: run({"v_max": 5e-3}), ("v_max", "5 1/s")),
    "r in 1/V": (lambda: run({"r": 560.0}), ("'r'", "0.56 1/mV")),
    "a_1 in percent": (lambda: run({"a_1": 80.0}), ("a_1", "percent", "0.8")),
    "speed in mm/s": (lambda: network({"speed": 6e3}), ("speed", "6 m/s")),
    "weights": (lambda: network({"G": 1e5}), ("weights", "normalise")),
    "isi in ms": (lambda: jrflow.EvokedProtocol(isi=1000), ("isi", "ms", "1 s")),
    "pulse in ms": (lambda: jrflow.EvokedProtocol(isi=100, stim_duration=50), ("stim_duration", "0.05 s")),
    "rate in 1/ms": (lambda: jrflow.EvokedProtocol(stim_rate=0.06), ("stim_rate", "60 1/s")),
    "background in 1/ms": (lambda: jrflow.RestProtocol(background=0.12), ("background", "120 1/s")),
    "duration in ms": (lambda: jrflow.RestProtocol(duration=10_000), ("duration", "10 s")),
    "transient in ms": (lambda: jrflow.EvokedProtocol(transient=800), ("transient", "0.8 s")),
    "sfreq in kHz": (lambda: run(sfreq=1, protocol=SLOW), ("sfreq", "kHz")),
    "max_source in V": (lambda: run(max_source=0.5), ("max_source", "500 mV")),
    "position in m": (lambda: jrflow.lead_field(position=(-0.04, 0.012, 0.047)), ("position", "in m?")),
    "position in cm": (lambda: jrflow.lead_field(position=(-4.0, 1.2, 4.7)), ("position", "in cm?")),
    "extent in m": (lambda: jrflow.lead_field(extent=0.01), ("extent", "10 mm")),
    "moment in A m/V": (lambda: jrflow.lead_field(moment=13e-6), ("moment", "13 nA m/mV")),
    "a step too long for one": (lambda: run({"b_e": [100.0, 1e5]}), ("b_e", "dt", "1e-05", "1 simulation")),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTICED)
def test_implausible_input_is_noticed(name: str) -> None:
    call, words = NOTICED[name]
    with pytest.warns(PlausibilityWarning) as caught:
        call()
    messages = [str(one.message) for one in caught]
    assert any(all(word in message for word in words) for message in messages), messages
    assert {one.filename for one in caught} == {__file__}, "the warning points at the caller"


def test_ordinary_input_is_accepted_in_silence() -> None:
    """Among it the published ranges widened by half, both protocols' defaults, and the paper's preset."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlausibilityWarning)
        run({"A_e": rng.uniform(1.3, 15, 5), "A_i": rng.uniform(9, 165, 5), "b_e": rng.uniform(5, 225, 5)})
        run(preset="as-published")
        network({"G": [0.0, 20.0], "speed": [np.inf, 3.0]})
        jrflow.EvokedProtocol()
        jrflow.RestProtocol(background=320.0, noise_sd=100.0)
        jrflow.EvokedProtocol(stim_rate=0.0, tmin=0.0, transient=0.0)
