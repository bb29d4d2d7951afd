"""Results as labelled arrays: names, units, attributes and the versions that made them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from phase_utils._extras import brought_by

if TYPE_CHECKING:
    import xarray

UNITS = {
    "depth": ("number of hidden layers D", "1"),
    "gamma": ("weight decay, of the penalty gamma |w|^2", "units of y^2 / units of w^2"),
    "init_scale": ("standard deviation of the initial weights", "units of w"),
    "seed": ("seed of the initial weights", "1"),
    "direction": ("direction in which gamma is changed", "1"),
    "loss": ("loss with decay", "units of y^2"),
    "data_loss": ("loss without decay", "units of y^2"),
    "slope": ("penalty that gamma multiplies; dL/dgamma at a minimum", "units of w^2"),
    "B": ("order parameter B = |beta|^(1/(D+1))", "units of w"),
    "status": ("how the training ended", "1"),
    "steps": ("evaluations of loss and gradient", "1"),
}


def labelled(
    values: dict[str, Any], axes: dict[str, Any], attributes: dict[str, Any]
) -> "xarray.Dataset":
    """Dataset of arrays over `axes`, with names and units, attributes and library versions."""
    with brought_by("sweeps", "a labelled result"):
        import xarray

    dataset = xarray.Dataset(
        {name: (tuple(axes), array) for name, array in values.items()}, coords=axes
    )
    for name in dataset.variables:
        dataset[name].attrs["long_name"], dataset[name].attrs["units"] = UNITS[str(name)]
    versions = {"numpy": np.__version__, "torch": torch.__version__, "xarray": xarray.__version__}
    # torch's version is a subclass of str that files do not take
    dataset.attrs = {**attributes, **{f"{name}_version": str(v) for name, v in versions.items()}}
    return dataset
