"""Every data set by its name: shapes, classes, splits, and what is said when it is not there."""

import pickle
from pathlib import Path

import pytest
import torch

from glifcli.data import DATASETS, Normalisation, load_dataset
from glifcli.data.torchvision_sets import default_folder
from glifcli.errors import DataError
from glifcli.recipe import Data


def test_digits() -> None:
    data = load_dataset(Data(dataset="digits"))
    assert (data.name, data.channels, data.image_size) == ("digits", 1, (8, 8))
    assert data.classes == tuple("0123456789")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 1437, "test": 360}
    pixels = data.splits["train"].images.fetch(torch.arange(1437))
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1437, 1, 8, 8)
    levels = [(level * 255 + 8) // 16 for level in range(17)]
    assert sorted(set(pixels.flatten().tolist())) == levels
    assert levels[-1] == 255
    scaled = pixels.double() / 255
    assert data.normalisation.mean[0] == pytest.approx(scaled.mean().item(), abs=1e-12)
    assert data.normalisation.std[0] == pytest.approx(scaled.std(correction=0).item(), abs=1e-12)


def test_digits_test_split_is_fixed_and_stratified() -> None:
    plain = load_dataset(Data()).splits["test"]
    other = load_dataset(Data(validation=0.2, split_seed=7)).splits["test"]
    assert torch.equal(plain.labels, other.labels)
    assert plain.labels.bincount().min() >= 34
    # Written down once: another split would change every published accuracy on digits.
    assert plain.labels[:20].tolist() == [1, 4, 8, 6, 5, 9, 9, 1, 3, 2, 2, 2, 0, 7, 4, 8, 1, 5, 3, 9]
    everything = torch.arange(360)
    assert torch.equal(plain.images.fetch(everything), other.images.fetch(everything))
    assert int(plain.images.fetch(everything).to(torch.int64).sum()) == 1790819


def test_only_the_splits_asked_for() -> None:
    assert list(load_dataset(Data(), splits=("test",)).splits) == ["test"]
    assert list(load_dataset(Data(validation=0.1), splits=("validation",)).splits) == ["validation"]
    with pytest.raises(DataError, match="training images"):
        _ = load_dataset(Data(), splits=("test",)).normalisation


def test_image_size_resizes_in_memory() -> None:
    data = load_dataset(Data(image_size=12), splits=("test",))
    assert data.image_size == (12, 12)
    assert data.splits["test"].images.fetch(torch.arange(3)).shape == (3, 1, 12, 12)
    assert data.splits["test"].take(2).images.shape == (1, 12, 12)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist(name: str, mnist: Path) -> None:
    data = load_dataset(Data(dataset=name, data_dir=str(mnist)))
    assert (data.channels, data.image_size) == (1, (28, 28))
    assert {key: len(split) for key, split in data.splits.items()} == {"train": 20, "test": 10}
    assert data.splits["test"].labels.tolist() == list(range(10))
    raw = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    stored = (mnist / raw / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16 : 16 + 784]
    assert bytes(data.splits["test"].images.fetch(torch.tensor([0])).flatten().tolist()) == stored
    assert data.classes[:2] == (("0", "1") if name == "mnist" else ("T-shirt/top", "Trouser"))
    assert (
        data.normalisation
        == {
            "mnist": Normalisation((0.1307,), (0.3081,)),
            "fashion-mnist": Normalisation((0.2860,), (0.3530,)),
        }[name]
    )


@pytest.mark.parametrize(("name", "train", "classes"), [("cifar10", 50, 10), ("cifar100", 100, 100)])
def test_cifar(name: str, train: int, classes: int, cifar: Path) -> None:
    data = load_dataset(Data(dataset=name, data_dir=str(cifar)))
    assert (data.channels, data.image_size, len(data.classes)) == (3, (32, 32), classes)
    assert len(data.splits["train"]) == train
    pixels = data.splits["test"].images.fetch(torch.tensor([0]))
    file = cifar / ("cifar-10-batches-py/test_batch" if name == "cifar10" else "cifar-100-python/test")
    stored = pickle.loads(file.read_bytes())["data"][0]
    assert pixels.flatten().tolist() == stored.tolist()
    assert len(data.normalisation.mean) == 3


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"digits", "imagefolder", "eventframes"}))
def test_missing_files_hint_at_download(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(Data(dataset=name, data_dir=str(tmp_path / "none")))
    assert f"`{name}` is not in `{tmp_path / 'none'}`" in caught.value.message
    assert "--download" in caught.value.hint


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_failed_download_tells_the_cause(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request
    from urllib.error import URLError

    def refuse(*_args: object, **_settings: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(DataError, match=r"could not be downloaded.*Name or service not known"):
        load_dataset(Data(dataset=name, data_dir=str(tmp_path), download=True))


@pytest.mark.parametrize("download", [False, True])
def test_damaged_mnist_file(download: bool, mnist: Path) -> None:
    file = mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=r"`mnist` in .* cannot be read") as caught:
        load_dataset(Data(dataset="mnist", data_dir=str(mnist), download=download))
    assert caught.value.hint.startswith(f"rm -r {mnist}/MNIST")
    assert "--download" in caught.value.hint


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(DataError, match="`cifar-10`") as caught:
        load_dataset(Data(dataset="cifar-10"))
    assert caught.value.hint == "did you mean `cifar10`?"


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "glif" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_folder() == Path.home() / ".cache" / "glif" / "data"
