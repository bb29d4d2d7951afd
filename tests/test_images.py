"""Image files as numbers: digits, and small files in the formats of MNIST and CIFAR-10."""

import gzip
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import phase_utils as pu


def test_digits_are_those_of_scikit_learn_split_once():
    found, again = pu.images(), pu.images("digits")
    assert found.x.shape == (1500, 1, 8, 8)
    assert found.x_test.shape == (297, 1, 8, 8)
    assert found.x.dtype == torch.float32 and found.y.dtype == torch.int64
    assert torch.equal(found.x, again.x)
    x, y = load_digits(return_X_y=True)
    both = torch.cat([found.x, found.x_test]).reshape(-1, 64).double().numpy() * 16
    labels = torch.cat([found.y, found.y_test]).numpy()
    rows = sorted(zip(map(tuple, both), labels, strict=True))
    assert rows == sorted(zip(map(tuple, x), y, strict=True))
    assert found.classes == 10 and len(set(found.y_test.tolist())) == 10


def idx(array):
    head = np.array([0x800 + array.ndim, *array.shape], dtype=">u4")
    return head.tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path):
    rng = np.random.default_rng(1)
    arrays = {}
    for part, n, zipped in [("train", 7, True), ("t10k", 3, False)]:
        pixels, label = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        arrays[part] = pixels, label
        for kind, array in [("images-idx3", pixels), ("labels-idx1", label)]:
            path = tmp_path / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return tmp_path, arrays


def test_mnist_from_idx_files_zipped_or_not(mnist):
    folder, arrays = mnist
    found = pu.images("mnist", root=folder)
    for part, x, y in [("train", found.x, found.y), ("t10k", found.x_test, found.y_test)]:
        pixels, label = arrays[part]
        assert x.shape == (len(label), 1, 28, 28)
        np.testing.assert_allclose(x[:, 0].numpy() * 255, pixels, atol=1e-4)
        assert y.tolist() == label.tolist()
    below = folder / "root" / "MNIST"
    below.mkdir(parents=True)
    raw = below / "raw"
    raw.mkdir()
    for path in folder.glob("*-ubyte*"):
        path.rename(raw / path.name)
    assert torch.equal(pu.images("mnist", root=str(folder / "root")).x, found.x)


def test_cifar_from_the_binary_version(tmp_path):
    rng = np.random.default_rng(2)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    records = {}
    for name in names:
        pixels, label = rng.integers(0, 256, (2, 3, 32, 32)), rng.integers(0, 10, 2)
        records[name] = pixels, label
        rows = np.concatenate([label[:, None], pixels.reshape(2, -1)], axis=1)
        (folder / name).write_bytes(rows.astype(np.uint8).tobytes())
    found = pu.images("cifar10", root=tmp_path)
    assert found.x.shape == (10, 3, 32, 32) and found.x_test.shape == (2, 3, 32, 32)
    for i, name in enumerate(names[:5]):
        pixels, label = records[name]
        np.testing.assert_allclose(found.x[2 * i : 2 * i + 2].numpy() * 255, pixels, atol=1e-4)
        assert found.y[2 * i : 2 * i + 2].tolist() == label.tolist()
    assert found.y_test.tolist() == records["test_batch.bin"][1].tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte.gz", b"no archive", "readable files, got train-images-idx3"),
        (
            "train-images-idx3-ubyte.gz",
            gzip.compress(b"", mtime=0),
            "must be an IDX file of 3 dimensions",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            gzip.compress(idx(np.zeros((7, 1))), mtime=0),
            "of 1 dimensions",
        ),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(3))[:-1], "must hold 3 bytes of data, got 2"),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(2)), "one label from 0 to 9 for each image"),
        ("t10k-labels-idx1-ubyte", idx(np.array([1, 2, 10])), "up to 10"),
    ],
)
def test_damaged_files_are_named(mnist, name, content, message):
    folder, _ = mnist
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        pu.images("mnist", root=folder)


def test_missing_files_and_unknown_names(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="name must be one of digits, mnist, cifar10"):
        pu.images("svhn")
    with pytest.raises(ValueError, match="root must hold train-images-idx3-ubyte"):
        pu.images("mnist", root=tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(b"abc")
    with pytest.raises(ValueError, match=r"records of 3073 bytes, got 3"):
        pu.images("cifar10", root=tmp_path)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ValueError, match="torchvision is not installed"):
        pu.images("mnist", root=tmp_path, download=True)


def test_what_torchvision_fetches_is_taken_in_its_layout(tmp_path, monkeypatch):
    # stands in for torchvision, of which there is no build for every machine
    pixels = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)

    def cifar(root, *, train, download):
        assert (root, download) == (str(tmp_path), True)
        return SimpleNamespace(
            data=pixels if train else pixels[:1], targets=[3, 1, 2, 0][: 4 if train else 1]
        )

    fake = ModuleType("torchvision")
    fake.datasets = SimpleNamespace(CIFAR10=cifar)
    monkeypatch.setitem(sys.modules, "torchvision", fake)
    found = pu.images("cifar10", root=tmp_path, download=True)
    np.testing.assert_allclose(found.x[2, 1].numpy() * 255, pixels[2, :, :, 1], atol=1e-4)
    assert found.y.tolist() == [3, 1, 2, 0] and len(found.y_test) == 1
