"""Phase diagrams: labels, agreement with single landscapes, errors."""

import math

import numpy as np
import pytest

import phase_utils as pu

MOMENTS = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
GAMMA = np.array([0.0, 0.05, 0.2, 0.5])


@pytest.mark.parametrize(
    ("axis", "values", "fixed"),
    [
        ("depth", [0, 1, 1.5, 3, math.inf], {}),
        ("width", [1, 8], {"noise_variance": 0.5}),
        ("noise_variance", [0.0, 0.1, 5.0], {"width": 8, "depth": 1}),
        ("penalty_power", [1, 2, 3, 4.5], {"depth": 2.5}),
    ],
)
def test_every_point_is_that_of_a_landscape(axis, values, fixed):
    ds = pu.phase_diagram(MOMENTS, gamma=GAMMA, **{axis: values}, **fixed)
    assert ds.B.dims == ("gamma", axis)
    np.testing.assert_array_equal(ds[axis], values)
    for value in values:
        land = pu.Landscape(MOMENTS, **{axis: value}, **fixed)
        minimum, column = land.global_minimum(GAMMA), ds.sel({axis: value})
        for name in ("B", "loss", "slope", "gap"):
            np.testing.assert_array_equal(column[name], getattr(minimum, name))
        assert column.minima.values[1:].tolist() == [len(land.minima(g)) for g in GAMMA[1:]]
    assert all(ds[name].attrs["long_name"] and ds[name].attrs["units"] for name in ds.variables)


def test_two_axes_without_gamma():
    ds = pu.phase_diagram(MOMENTS, gamma=0.1, depth=[1, 2], width=4, noise_variance=[0.0, 1.0])
    assert dict(ds.sizes) == {"depth": 2, "noise_variance": 2}
    assert ds.attrs["gamma"] == "0.1"
    assert ds.attrs["width"] == "4"
    single = pu.Landscape(MOMENTS, 2, 4, 1.0).global_minimum(0.1)
    assert ds.loss.sel(depth=2, noise_variance=1.0).item() == single.loss


def test_parameters_of_the_moments():
    def ratio(ratio, signal=0.4):
        return pu.Moments.from_spectrum([1, ratio], [signal, 0.1 * ratio], 5.0)

    ds = pu.phase_diagram(ratio, gamma=[0.1, 0.2], ratio=[0.1, 1.0], signal=0.5)
    assert dict(ds.sizes) == {"gamma": 2, "ratio": 2}
    single = pu.Landscape(ratio(0.1, 0.5)).global_minimum([0.1, 0.2])
    np.testing.assert_array_equal(ds.loss.sel(ratio=0.1), single.loss)
    named = pu.phase_diagram({"weak": ratio(1, 0.2), "strong": ratio(1, 2)}, gamma=0.1)
    assert named.moments.values.tolist() == ["weak", "strong"]
    assert named.B.sel(moments="weak").item() == 0 < named.B.sel(moments="strong").item()


def test_the_example_of_the_docstring():
    ds = pu.phase_diagram(pu.Moments.isotropic(), gamma=[0.1, 0.2], depth=[1, 1.5, 2])
    assert dict(ds.sizes) == {"gamma": 2, "depth": 3}
    assert ds.minima.values.tolist() == [[1, 2, 2], [1, 2, 1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"gamma": 0.1}, "one of gamma, depth, .*penalty_power must be a sequence, got numbers"),
        ({"gamma": [0.1, -1]}, "gamma must be >= 0, got -1"),
        ({"gamma": [[0.1]]}, "gamma must have 0 or 1 dimensions"),
        ({"gamma": [0.1, 0.1]}, "gamma must not repeat values, got 0.1 twice"),
        ({"gamma": []}, "gamma must not be empty"),
        ({"gamma": [0.1], "depth": "two"}, "depth must be real numbers"),
        ({"gamma": [0.1], "depth": [1, math.nan]}, "depth must be finite or inf, got nan"),
        ({"gamma": [0.1], "depth": [1, -1]}, "depth must be >= 0"),
        ({"gamma": [0.1], "noise_variance": [0.1]}, "width must be given"),
        ({"gamma": [0.1], "power": 3}, "power must be an argument of phase_diagram or of a func"),
        ({"gamma": [0.1], "moments": "x"}, "moments must be a Moments, a dict of them or a func"),
        ({"gamma": [0.1], "moments": {}}, "moments must not be empty"),
        ({"gamma": [0.1], "moments": {"a": 1}}, "moments must be a Moments"),
        ({"gamma": [0.1], "moments": {1: MOMENTS}}, "every key of moments must be a str, got 1"),
        ({"gamma": [0.1], "moments": pu.Moments}, "moments must be a callable.*the class Moments"),
        (
            {"gamma": [0.1], "moments": pu.Moments.isotropic, "signal": [0.1, -1]},
            "moments must return a Moments, but it raised ValueError: signal must be >= 0",
        ),
        ({"gamma": [0.1], "moments": lambda v: v, "v": [1, 2]}, "moments must be a Moments"),
        (
            {"gamma": [0.1], "moments": lambda v: v, "w": [1, 2]},
            "w must be an argument of the function moments or of phase_diagram; .* takes v",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        pu.phase_diagram(**{"moments": MOMENTS, **call})
