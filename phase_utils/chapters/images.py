"""Images to classify: digits that ship with scikit-learn, or a reader's own MNIST and CIFAR-10.

Files are read as numbers of a fixed layout. The pickled form of CIFAR-10 is not read: what a file
holds must not decide what is executed.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import flag, one_of
from phase_utils._files import local_path

IMAGE_SETS = ("digits", "mnist", "cifar10")
TRAIN = 1500  # of the 1797 digits
IDX_MAGIC = {1: 0x801, 3: 0x803}  # unsigned bytes in 1 and 3 dimensions
RECORD_BYTES = 1 + 3 * 32 * 32  # bytes of one image of CIFAR-10 with its label
CIFAR_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))


@dataclass(frozen=True, eq=False)
class Images:
    """Images to classify, and others that training does not see.

    Attributes
    ----------
    name : str
        As `images` takes it.
    x, x_test : (n, channels, height, width) tensors
        Float32 in [0, 1].
    y, y_test : (n,) tensors of int
        Labels from 0.
    classes : int
        The number of labels.
    """

    name: str
    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int


def images(name: str = "digits", *, root: str | Path = "", download: bool = False) -> Images:
    """Return a set of images with labels.

    Parameters
    ----------
    name : {"digits", "mnist", "cifar10"}
        digits: scikit-learn's, 1 x 8 x 8, pixels / 16; 1500 to train on and 297 to test, the same
        in every run; needs no file. mnist: 1 x 28 x 28, from the four IDX files
        (train-images-idx3-ubyte,
        ..., with or without .gz) in `root`, or in `root`/MNIST/raw. cifar10: 3 x 32 x 32, from the
        binary version (data_batch_1.bin, ..., test_batch.bin) in `root`, or in
        `root`/cifar-10-batches-bin.
    root : str or Path
        Folder of the files.
    download : bool
        Fetch mnist or cifar10 into `root` with torchvision (the extra `images`), which checks what
        it fetched.

    Returns
    -------
    Images
        To train on and to test.

    Raises
    ------
    ValueError
        For an unknown name, a file that is missing or not of its format, and where torchvision is
        asked for but not installed.

    Examples
    --------
    >>> import phase_utils as pu
    >>> digits = pu.images("digits")
    >>> tuple(digits.x.shape), tuple(digits.x_test.shape), digits.classes
    ((1500, 1, 8, 8), (297, 1, 8, 8), 10)
    """
    one_of("name", name, IMAGE_SETS)
    download = flag("download", download)
    place = Path() if isinstance(root, str) and not root else local_path("root", root)
    if name == "digits":
        return _digits()
    if download:
        train, test = (_downloaded(name, place, train=part) for part in (True, False))
    elif name == "mnist":
        folder = _folder(place, "MNIST/raw")
        train, test = _mnist(folder, "train"), _mnist(folder, "t10k")
    else:
        folder = _folder(place, "cifar-10-batches-bin")
        train, test = _cifar(folder, CIFAR_TRAIN), _cifar(folder, ("test_batch.bin",))
    return Images(name, *_tensors(name, *train), *_tensors(name, *test), classes=10)


def _digits() -> Images:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    pixels = torch.as_tensor(x[order].reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    label = torch.as_tensor(y[order], dtype=torch.int64)
    return Images("digits", pixels[:TRAIN], label[:TRAIN], pixels[TRAIN:], label[TRAIN:], 10)


def _folder(root: Path, usual: str) -> Path:
    """The folder that holds the files: `root`, or the usual one within it."""
    within = root / usual
    return within if within.is_dir() else root


def _bytes(path: Path) -> bytes:
    zipped = path.with_name(f"{path.name}.gz")
    try:
        if zipped.is_file() and not path.is_file():
            return gzip.decompress(zipped.read_bytes())
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"root must hold {path.name}, which is missing: put the file there, "
            "or ask for download=True"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"root must hold readable files, got {path.name}: {error}") from None


def _idx(folder: Path, name: str, dimensions: int) -> Any:
    """An array of unsigned bytes in the IDX format of MNIST."""
    content = _bytes(folder / name)
    head = np.frombuffer(content[: 4 * (dimensions + 1)], dtype=">u4").astype(int)
    expected = IDX_MAGIC[dimensions]
    if len(head) <= dimensions or head[0] != expected:
        raise ValueError(f"{name} must be an IDX file of {dimensions} dimensions of bytes")
    shape, body = head[1:].tolist(), content[4 * (dimensions + 1) :]
    if len(body) != math.prod(shape):
        raise ValueError(f"{name} must hold {math.prod(shape)} bytes of data, got {len(body)}")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _mnist(folder: Path, part: str) -> tuple[Any, Any]:
    """Images and labels of MNIST."""
    x = _idx(folder, f"{part}-images-idx3-ubyte", 3)
    return x, _idx(folder, f"{part}-labels-idx1-ubyte", 1)


def _cifar(folder: Path, names: tuple[str, ...]) -> tuple[Any, Any]:
    """Images and labels of the binary version of CIFAR-10."""
    parts = []
    for name in names:
        content = _bytes(folder / name)
        if not content or len(content) % RECORD_BYTES:
            raise ValueError(
                f"{name} must hold records of {RECORD_BYTES} bytes, got {len(content)} bytes"
            )
        parts.append(np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD_BYTES))
    records = np.concatenate(parts)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _downloaded(name: str, root: Path, *, train: bool) -> tuple[Any, Any]:
    try:
        from torchvision import datasets
    except ImportError:
        raise ValueError(
            "download must be False where torchvision is not installed: "
            "pip install 'phase-utils[images]', or put the files into root"
        ) from None
    kind = datasets.MNIST if name == "mnist" else datasets.CIFAR10
    found = kind(str(root), train=train, download=True)
    pixels = np.asarray(found.data)
    return (pixels if name == "mnist" else np.moveaxis(pixels, 3, 1)), np.asarray(found.targets)


def _tensors(name: str, pixels: Any, label: Any) -> tuple[Tensor, Tensor]:
    if len(pixels) != len(label) or not len(label) or label.max() > 9:
        raise ValueError(
            f"{name} must have one label from 0 to 9 for each image, got {len(label)} labels "
            f"up to {max(label, default=0)} for {len(pixels)} images"
        )
    x = pixels.reshape(len(pixels), -1, *pixels.shape[-2:]).astype(np.float32) / 255
    return torch.as_tensor(x), torch.as_tensor(label.astype(np.int64))
