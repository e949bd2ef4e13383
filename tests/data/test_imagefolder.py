"""Folders of images: layouts, laziness, decoding, and every way in which a folder can be wrong."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from glifcli.data import FolderImages, decoding, images, load_dataset
from glifcli.errors import DataError
from glifcli.recipe import Data
from tests.data.samples import write_folder, write_image


def settings(folder: Path, **others: float) -> Data:
    return Data(dataset="imagefolder", data_dir=str(folder), **others)


def test_folder(folder: Path) -> None:
    data = load_dataset(settings(folder))
    assert data.classes == ("cat", "dog")
    assert (data.channels, data.image_size) == (3, (8, 8))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "test": 5}
    assert data.splits["test"].labels.tolist() == [0, 0, 0, 1, 1]
    with Image.open(folder / "test" / "dog" / "001.png") as image:
        expected = list(image.tobytes())
    pixels = data.splits["test"].images.fetch(torch.tensor([4]))
    assert pixels.shape == (1, 3, 8, 8)
    assert pixels[0].permute(1, 2, 0).flatten().tolist() == expected
    training = data.splits["train"].images.fetch(torch.arange(20)).double() / 255
    assert data.normalisation.mean == pytest.approx(training.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert data.normalisation.std == pytest.approx(training.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_evaluation_decodes_no_training_image(folder: Path) -> None:
    (folder / "train" / "cat" / "000.png").write_bytes(b"damaged")
    data = load_dataset(settings(folder), splits=("test",))
    assert data.splits["test"].images.fetch(torch.arange(5)).shape == (5, 3, 8, 8)


def test_images_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = load_dataset(settings(folder)).splits["train"]
    split.images.prepare()
    monkeypatch.setattr(decoding, "decode_image", None)
    assert len(split.images.fetch(torch.arange(20))) == 20
    assert len(split.take(3).images.fetch(torch.arange(3))) == 3


def test_beyond_the_budget_images_stay_on_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = load_dataset(settings(folder))
    expected = in_memory.splits["train"].images.fetch(torch.tensor([3, 1]))
    monkeypatch.setattr(images, "MEMORY_BUDGET", 1000)
    on_disk = load_dataset(settings(folder)).splits["train"].images
    assert torch.equal(on_disk.fetch(torch.tensor([3, 1])), expected)
    assert isinstance(on_disk, FolderImages)
    assert on_disk.decoded is None


def test_threads_give_what_one_thread_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, {"train": {"cat": 150}, "test": {"cat": 1}})
    paths = [str(path) for path in sorted((tmp_path / "train" / "cat").iterdir())]
    monkeypatch.setattr(decoding, "thread_count", lambda _: 1)
    alone = decoding.decode_images(paths, (8, 8), resize=False)
    monkeypatch.setattr(decoding, "thread_count", lambda _: 3)
    assert torch.equal(decoding.decode_images(paths, (8, 8), resize=False), alone)
    for number in (149, 70):
        Path(paths[number]).write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"070\.png"):
        decoding.decode_images(paths, (8, 8), resize=False)


def test_take_decodes_only_what_it_takes(folder: Path) -> None:
    (folder / "test" / "dog" / "001.png").write_bytes(b"damaged")
    split = load_dataset(settings(folder), splits=("test",)).splits["test"].take(4)
    assert split.images.fetch(torch.arange(4)).shape == (4, 3, 8, 8)
    assert split.labels.tolist() == [0, 0, 0, 1]
    assert len(split.take(100)) == 4


def test_val_is_the_test_split_without_test(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 2}, "val": {"a": 3}})
    assert {name: len(split) for name, split in load_dataset(settings(tmp_path)).splits.items()} == {
        "train": 2,
        "test": 3,
    }


def test_val_beside_test_is_the_validation_split(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 6}, "val": {"a": 3}, "test": {"a": 4}})
    plain = load_dataset(settings(tmp_path)).splits
    assert {name: len(split) for name, split in plain.items()} == {"train": 6, "validation": 3, "test": 4}
    asked = load_dataset(settings(tmp_path, validation=2)).splits
    assert {name: len(split) for name, split in asked.items()} == {"train": 4, "validation": 2, "test": 4}
    assert len(load_dataset(settings(tmp_path), splits=("validation",)).splits["validation"]) == 3


def test_test_folder_alone_can_be_evaluated(tmp_path: Path) -> None:
    write_folder(tmp_path, {"test": {"b": 1, "a": 1}})
    assert load_dataset(settings(tmp_path), splits=("test",)).classes == ("a", "b")
    with pytest.raises(DataError, match="has no `train/`"):
        load_dataset(settings(tmp_path))


def test_classes_come_from_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 1, "b": 1, "c": 1}, "test": {"c": 2}})
    data = load_dataset(settings(tmp_path), splits=("test",))
    assert data.classes == ("a", "b", "c")
    assert data.splits["test"].labels.tolist() == [2, 2]


def test_other_files_are_passed_over_and_nested_ones_found(folder: Path) -> None:
    (folder / "train" / "cat" / "notes.txt").write_text("hello")
    (folder / "train" / "cat" / "._000.png").write_bytes(b"\0")
    (folder / "train" / ".cache").mkdir()
    write_image(folder / "train" / "cat" / "more" / "x.PNG")
    assert len(load_dataset(settings(folder)).splits["train"]) == 21


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_all_modes_become_rgb(mode: str, folder: Path) -> None:
    path = folder / "test" / "cat" / ("000.png" if mode != "CMYK" else "000.jpg")
    with Image.open(folder / "test" / "cat" / "000.png") as image:
        other = image.convert(mode)
    (folder / "test" / "cat" / "000.png").unlink()
    other.save(path)
    pixels = load_dataset(settings(folder), splits=("test",)).splits["test"].images.fetch(torch.tensor([0]))
    assert pixels.shape == (1, 3, 8, 8)
    if mode == "L":
        assert torch.equal(pixels[0, 0], pixels[0, 2])


def test_resize_keeps_proportions_and_centre(tmp_path: Path) -> None:
    wide = Image.new("RGB", (40, 10), (255, 0, 0))
    wide.paste((0, 255, 0), (15, 0, 25, 10))
    for split in ("train", "test"):
        (tmp_path / split / "a").mkdir(parents=True)
        wide.save(tmp_path / split / "a" / "wide.png")
    write_image(tmp_path / "train" / "a" / "x.png", size=(50, 7))
    data = load_dataset(settings(tmp_path, image_size=5))
    assert data.image_size == (5, 5)
    centre = data.splits["train"].images.fetch(torch.tensor([0]))[0]
    # Nothing but the green middle, save for what the filter takes in at its borders.
    assert centre[1, :, 1:4].eq(255).all()
    assert centre[1].min() > 200
    assert data.splits["train"].images.fetch(torch.arange(2)).shape == (2, 3, 5, 5)


def use_all(folder: Path) -> None:
    for split in load_dataset(settings(folder)).splits.values():
        split.images.fetch(torch.tensor([0]))


def refused(folder: Path, *, use: bool = False) -> DataError:
    """The error on loading or, with `use`, on loading and fetching."""
    with pytest.raises(DataError) as caught:
        (use_all if use else lambda path: load_dataset(settings(path)))(folder)
    assert caught.value.hint
    return caught.value


def test_no_folder_given() -> None:
    with pytest.raises(DataError, match="imagefolder") as caught:
        load_dataset(Data(dataset="imagefolder"))
    assert "--data-dir" in caught.value.hint


def test_missing_folder(tmp_path: Path) -> None:
    assert f"`{tmp_path / 'none'}` does not exist" in refused(tmp_path / "none").message


def test_file_instead_of_folder(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(b"PK")
    assert "is not a folder" in refused(tmp_path / "pets.zip").message


def test_empty_folder(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert f"`{tmp_path}` has no folders" in error.message
    assert "`train/<class>/*.jpg`" in error.hint


def test_classes_directly_in_the_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "cat" / "a.png")
    assert "has the folders `cat`, not `train/`" in refused(tmp_path).message


def test_no_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"test": {"a": 1}})
    assert "has no `train/`" in refused(tmp_path).message


def test_no_test(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 1}})
    assert "has no `test/` or `val/`" in refused(tmp_path).message


def test_train_without_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, {"test": {"a": 1}})
    write_image(tmp_path / "train" / "a.png")
    assert f"`{tmp_path / 'train'}` has no class folders" in refused(tmp_path).message


def test_class_that_train_lacks(folder: Path) -> None:
    write_image(folder / "test" / "fox" / "a.png")
    error = refused(folder)
    assert "`fox`" in error.message
    assert str(folder / "test" / "fox") in error.hint


@pytest.mark.parametrize("split", ["train", "test"])
def test_empty_class_folder(split: str, tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 1, "b": 1}, "test": {"a": 1}})
    empty = tmp_path / split / "b"
    empty.mkdir(exist_ok=True)
    for path in empty.iterdir():
        path.unlink()
    assert f"`{empty}` has no images" in refused(tmp_path).message


def test_text_named_jpg(folder: Path) -> None:
    path = folder / "test" / "dog" / "zebra.jpg"
    path.write_text("not a picture")
    error = refused(folder, use=True)
    assert f"image `{path}` cannot be decoded" in error.message
    assert error.hint.endswith(f"rm {path}")


def test_truncated_jpeg(folder: Path) -> None:
    path = folder / "train" / "cat" / "cut.jpg"
    write_image(path, size=(8, 8))
    path.write_bytes(path.read_bytes()[:-30])
    message = refused(folder, use=True).message
    assert f"image `{path}` cannot be decoded: image file is truncated" in message


def test_dangling_link(folder: Path) -> None:
    path = folder / "test" / "cat" / "gone.png"
    path.symlink_to(folder / "nowhere.png")
    assert f"image `{path}` cannot be read: No such file" in refused(folder, use=True).message


def test_varying_sizes_without_image_size(folder: Path) -> None:
    path = folder / "train" / "dog" / "large.png"
    write_image(path, size=(9, 12))
    error = refused(folder, use=True)
    assert f"image `{path}` is `12x9` but the first one is `8x8`" in error.message
    assert "data.image_size=8" in error.hint


def test_sixteen_bits(folder: Path) -> None:
    path = folder / "test" / "cat" / "deep.png"
    Image.new("I;16", (8, 8), 40000).save(path)
    assert "more than 8 bits" in refused(folder, use=True).message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folder(folder: Path) -> None:
    (folder / "train" / "cat").chmod(0)
    try:
        assert "cannot be read" in refused(folder).message
    finally:
        (folder / "train" / "cat").chmod(0o755)


def test_unreadable_folder_is_a_data_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", deny)
    assert "Permission denied" in refused(folder).message


def real_images() -> Path:
    return Path(os.environ.get("GLIF_TEST_IMAGES", "~/.cache/glif-data/cifar10-jpeg")).expanduser()


@pytest.mark.skipif(
    not (real_images() / "test").is_dir(), reason=f"no CIFAR-10 JPEGs in {real_images()} (GLIF_TEST_IMAGES)"
)
def test_real_images() -> None:
    data = load_dataset(settings(real_images()), splits=("test",))
    split = data.splits["test"]
    assert data.image_size == (32, 32)
    assert split.labels.bincount().tolist() == [1000] * 10
    pixels = split.images.fetch(torch.arange(len(split)))
    assert pixels.shape == (10000, 3, 32, 32)
    # CIFAR-10's published mean, within what JPEG and the choice of split change.
    mean = (pixels.double() / 255).mean(dim=(0, 2, 3))
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)
