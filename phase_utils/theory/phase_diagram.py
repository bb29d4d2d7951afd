"""Phase diagrams: the global minimum on a grid over weight decay and other parameters."""

import inspect
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from phase_utils._check import function, non_negative, numeric, text, tried
from phase_utils._extras import brought_by
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    import xarray

NAMES = {
    "gamma": ("weight decay, of the penalty gamma |w|^p", "units of y^2 / units of w^p"),
    "depth": ("number of hidden layers D", "1"),
    "width": ("hidden width d0", "1"),
    "noise_variance": ("variance of the neuron noise", "1"),
    "penalty_power": ("power p of the penalty gamma |w|^p", "1"),
    "moments": ("moments of the data", "1"),
    "B": ("order parameter B = |beta|^(1/(D+1))", "units of w"),
    "loss": ("least loss with decay, L(gamma)", "units of y^2"),
    "slope": ("dL/dgamma = |w|^p", "units of w^p"),
    "gap": ("certified bound on the error of the loss", "units of y^2"),
    "minima": ("number of local minima", "1"),
}


def phase_diagram(
    moments: Moments | Mapping[str, Moments] | Callable[..., Moments],
    *,
    gamma: ArrayLike,
    depth: ArrayLike = 2,
    width: ArrayLike | None = None,
    noise_variance: ArrayLike = 0.0,
    penalty_power: ArrayLike = 2,
    **parameters: ArrayLike,
) -> "xarray.Dataset":
    """Certified global minimum and number of minima over a grid.

    Every argument but `moments` that is a sequence becomes a dimension of that name, in the order
    gamma, depth, width, noise_variance, penalty_power, then moments or the parameters.

    Parameters
    ----------
    moments : Moments, dict of str to Moments, or callable
        A dict makes the dimension "moments"; a function returns Moments from the keywords in
        `parameters`.
    gamma : array_like
        Weight decays >= 0, a number or 1-D.
    depth, width, noise_variance, penalty_power : array_like
        As for `Landscape`, a number each or 1-D.
    **parameters : array_like
        Arguments of the function `moments`, a number each or 1-D.

    Returns
    -------
    xarray.Dataset
        B, loss, slope, gap and minima (an integer; at gamma = 0 that just above it), with names
        and units. Vectorised over gamma: the other dimensions cost one `Landscape` per point.

    Raises
    ------
    ValueError
        For an argument that is out of range, repeats a value or has more than one dimension, for
        a parameter that `moments` does not take, or where nothing is a sequence.

    Examples
    --------
    >>> import phase_utils as pu
    >>> ds = pu.phase_diagram(pu.Moments.isotropic(), gamma=[0.1, 0.2], depth=[1, 1.5, 2])
    >>> dict(ds.sizes)
    {'gamma': 2, 'depth': 3}
    >>> ds.minima.values.tolist()
    [[1, 2, 2], [1, 2, 1]]
    """
    with brought_by("sweeps", "phase_diagram"):
        import xarray

    given = {
        "gamma": non_negative("gamma", gamma),
        "depth": depth,
        "width": width,
        "noise_variance": noise_variance,
        "penalty_power": penalty_power,
    }
    choose, extra = _moments(moments, parameters)
    axes = {name: _axis(name, value) for name, value in {**given, **extra}.items()}
    dims = [name for name, values in axes.items() if np.ndim(values) == 1]
    if not dims:
        raise ValueError(f"one of {', '.join(axes)} must be a sequence, got numbers only")
    others = {name: np.atleast_1d(axes[name]) for name in axes if name != "gamma"}
    gammas = np.atleast_1d(axes["gamma"])
    shape = (len(gammas), *(len(values) for values in others.values()))
    columns: dict[str, list[Any]] = {name: [] for name in ("B", "loss", "slope", "gap", "minima")}
    for point_values in product(*(values.tolist() for values in others.values())):
        point = dict(zip(others, point_values, strict=True))
        chosen = choose({name: point.pop(name) for name in extra})
        if np.isnan(point["width"]):
            point["width"] = None
        landscape = Landscape(chosen, **point)
        minimum = landscape.global_minimum(gammas)
        for name in ("B", "loss", "slope", "gap"):
            columns[name].append(getattr(minimum, name))
        columns["minima"].append(landscape.count_minima(gammas))
    values = {name: np.stack(column, axis=1).reshape(shape) for name, column in columns.items()}
    kept = [name in dims for name in axes]
    squeezed = {n: v[tuple(slice(None) if k else 0 for k in kept)] for n, v in values.items()}
    dataset = xarray.Dataset(
        {name: (tuple(dims), array) for name, array in squeezed.items()},
        coords={name: axes[name] for name in dims},
        attrs={name: str(value) for name, value in given.items() if name not in dims},
    )
    for variable in dataset.variables:
        name = str(variable)
        long_name, units = NAMES.get(name, (f"parameter {name} of the moments", "1"))
        dataset[name].attrs.update(long_name=long_name, units=units)
    return dataset


def _moments(moments: Any, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A function from the parameters of a point to its Moments, and the parameters' values."""
    if callable(moments):
        function("moments", moments, "parameters")
        accepted = tried("moments must have a signature", inspect.signature, moments).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        unknown = [n for n in parameters if n not in accepted and not takes_any]
        if unknown:
            raise ValueError(
                f"{unknown[0]} must be an argument of the function moments or of phase_diagram; "
                f"the function takes {', '.join(accepted) or 'none'}"
            )
        rule = "moments must return a Moments"
        return (lambda point: _checked(tried(rule, moments, **point))), parameters
    if parameters:
        name = next(iter(parameters))
        raise ValueError(f"{name} must be an argument of phase_diagram or of a function moments")
    if isinstance(moments, Mapping):
        if not moments:
            raise ValueError("moments must not be empty, got {}")
        for key, value in moments.items():
            text("every key of moments", key)
            _checked(value)
        return (lambda point: moments[point["moments"]]), {"moments": list(moments)}
    _checked(moments)
    return (lambda _: moments), {}


def _checked(moments: Any) -> Moments:
    if not isinstance(moments, Moments):
        raise ValueError(
            "moments must be a Moments, a dict of them or a function that returns one, "
            f"got {type(moments).__name__}"
        )
    return moments


def _axis(name: str, value: Any) -> Any:
    """A number or a 1-D coordinate without repeats; of any labels for the moments."""
    if value is None:
        return np.array(np.nan)
    if name == "moments":
        return np.array(value)
    array = numeric(name, value, ndim=(0, 1), infinite=name == "depth")
    distinct, counts = np.unique(array, return_counts=True)
    if np.any(counts > 1):
        raise ValueError(f"{name} must not repeat values, got {distinct[counts > 1][0]:g} twice")
    return array
