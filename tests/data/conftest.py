"""Image folders and torchvision's own formats, written into tmp_path."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.samples import idx_bytes, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    classes = {"cat": 10, "dog": 10}
    return write_folder(tmp_path / "pets", {"train": classes, "test": {"cat": 3, "dog": 2}})


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST and Fashion-MNIST in small: 20 training and 10 test images of 28x28."""
    random = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST"):
        raw = tmp_path / name / "raw"
        raw.mkdir(parents=True)
        for part, count in (("train", 20), ("t10k", 10)):
            pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            (raw / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count, dtype=np.uint8) % 10))
    return tmp_path


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 and CIFAR-100 in small, read by torchvision's own code with the files' own md5 sums."""
    from torchvision.datasets import CIFAR10, CIFAR100

    random = np.random.default_rng(0)

    def write(path: Path, content: object) -> str:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    for kind, key, count in ((CIFAR10, "labels", 10), (CIFAR100, "fine_labels", 100)):
        base = tmp_path / kind.base_folder
        for part in ("train_list", "test_list"):
            sums = []
            for name, _ in getattr(kind, part):
                data = random.integers(0, 256, (count, 3072), dtype=np.uint8)
                sums.append([name, write(base / name, {"data": data, key: list(range(count))})])
            monkeypatch.setattr(kind, part, sums)
        names = [f"class{number}" for number in range(count)]
        md5 = write(base / kind.meta["filename"], {kind.meta["key"]: names})
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5})
    return tmp_path
