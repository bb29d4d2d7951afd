"""Wrong values for any argument: each is made anew, because generators and dicts are used up."""

import datetime
import fractions
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import scipy.sparse
import torch
import xarray
from torch import nn

import phase_utils as pu


class Hostile:
    """Answers every question with an error of its own."""

    def _refuse(self, *_args: Any, **_options: Any) -> Any:
        raise RuntimeError("hostile")

    __array__ = __bool__ = __call__ = __eq__ = __float__ = __getitem__ = _refuse
    __int__ = __iter__ = __len__ = __repr__ = _refuse
    __hash__ = object.__hash__


def _recursive() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


def _dated() -> Any:
    return np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]")


SCALARS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "1.5": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "1e308": lambda: 1e308,
    "1e-308": lambda: 1e-308,
    "10**9": lambda: 10**9,
    "10**30": lambda: 10**30,
    "10**400": lambda: 10**400,
    "1j": lambda: 1j,
    "fraction": lambda: fractions.Fraction(1, 2),
    "''": lambda: "",
    "'x'": lambda: "x",
    "'1'": lambda: "1",
    "long text": lambda: "x" * 100_000,
    "long name": lambda: "x" * 300,
    "null byte": lambda: "x\0y",
    "b'x'": lambda: b"x",
}

CONTAINERS: dict[str, Callable[[], Any]] = {
    "[]": list,
    "()": tuple,
    "{}": dict,
    "{'a': 1}": lambda: {"a": 1},
    "set()": set,
    "{1, 2}": lambda: {1, 2},
    "[None]": lambda: [None],
    "['a', 'a']": lambda: ["a", "a"],
    "[1, 'a']": lambda: [1, "a"],
    "ragged list": lambda: [[1.0, 2.0], [3.0]],
    "recursive list": _recursive,
    "generator": lambda: (v for v in (1.0, 2.0)),
    "range(3)": lambda: range(3),
}

OBJECTS: dict[str, Callable[[], Any]] = {
    "object()": object,
    "hostile": Hostile,
    "lambda": lambda: lambda: None,
    "lambda of any": lambda: lambda *_args, **_options: None,
    "class int": lambda: int,
    "class Moments": lambda: pu.Moments,
    "class Linear": lambda: nn.Linear,
    "class LinearNetwork": lambda: pu.LinearNetwork,
    "module": lambda: nn.Linear(5, 4, dtype=torch.float64),
    "module without weights": nn.ReLU,
    "Moments": lambda: pu.Moments.isotropic(3),
    "LinearNetwork": lambda: pu.LinearNetwork(pu.Moments.isotropic(3), 1, 2),
    "Landscape": lambda: pu.Landscape(pu.Moments.isotropic()),
    "Settings": pu.Settings,
    "Path": lambda: Path("absent"),
    "date": lambda: datetime.date(2020, 1, 1),
    "dtype": lambda: torch.int64,
    "device": lambda: torch.device("meta"),
    "...": lambda: ...,
}

ARRAYS: dict[str, Callable[[], Any]] = {
    "array (3,)": lambda: np.array([0.1, 0.2, 0.3]),
    "array (1,)": lambda: np.array([0.1]),
    "array (2, 3)": lambda: np.arange(6.0).reshape(2, 3) / 10,
    "array (2, 2, 2)": lambda: np.ones((2, 2, 2)),
    "array ()": lambda: np.array(0.25),
    "array (0,)": lambda: np.zeros(0),
    "integers": lambda: np.array([1, 2, 3]),
    "-1s": lambda: -np.ones(2),
    "nans": lambda: np.array([0.1, np.nan]),
    "infs": lambda: np.array([0.1, np.inf]),
    "1e308s": lambda: np.array([1e308, -1e308]),
    "complex array": lambda: np.array([1j, 2]),
    "array of texts": lambda: np.array(["a", "b"]),
    "array of bools": lambda: np.array([True, False]),
    "array of objects": lambda: np.array([1, None], dtype=object),
    "array of dates": _dated,
    "structured array": lambda: np.zeros(2, dtype=[("a", float), ("b", int)]),
    "masked array": lambda: np.ma.array([0.1, 0.2], mask=[False, True]),
    "sparse matrix": lambda: scipy.sparse.eye(3, format="csr"),
    "frame": lambda: pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}),
    "frame of texts": lambda: pandas.DataFrame({"a": ["x", "y"]}),
    "series": lambda: pandas.Series([0.1, 0.2]),
    "data array": lambda: xarray.DataArray([0.1, 0.2], dims="a"),
}

TENSORS: dict[str, Callable[[], Any]] = {
    "tensor with graph": lambda: torch.tensor([0.1, 0.2], requires_grad=True) * 1.0,
    "parameter": lambda: nn.Parameter(torch.ones(2, 3, dtype=torch.float64)),
    "tensor ()": lambda: torch.tensor(0.25, requires_grad=True),
    "tensor (0,)": lambda: torch.zeros(0),
    "integer tensor": lambda: torch.tensor([1, 2, 3]),
    "bool tensor": lambda: torch.tensor([True, False]),
    "float16 tensor": lambda: torch.ones(2, 3, dtype=torch.float16),
    "bfloat16 tensor": lambda: torch.ones(2, dtype=torch.bfloat16),
    "complex tensor": lambda: torch.ones(2, dtype=torch.complex64),
    "sparse tensor": lambda: torch.eye(3).to_sparse(),
    "meta tensor": lambda: torch.ones(2, 3, device="meta"),
    "nan tensor": lambda: torch.full((2, 3), float("nan"), dtype=torch.float64),
}

WRONG = SCALARS | CONTAINERS | OBJECTS | ARRAYS | TENSORS
