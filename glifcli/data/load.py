"""The data set that a recipe names."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from glifcli import recipe
from glifcli.data import digits, imagefolder, torchvision_sets
from glifcli.data.dataset import Dataset, Split
from glifcli.data.decoding import image_size
from glifcli.data.images import FolderImages, MemoryImages
from glifcli.data.names import DATASETS
from glifcli.data.validation import stratified_split, validation_count
from glifcli.errors import DataError, nearest

SPLITS = ("train", "validation", "test")


def load_dataset(settings: recipe.Data, splits: Sequence[str] = SPLITS) -> Dataset:
    """The data set with the `splits` asked for; "validation" only where the settings or a folder make one.

    Images of a folder are decoded when their split is first used, so `splits=("test",)` reads no training
    images. Raises DataError.
    """
    assert set(splits) <= set(SPLITS), splits
    if settings.dataset not in DATASETS:
        raise DataError(f"unknown data set `{settings.dataset}`", nearest(settings.dataset, DATASETS))
    return load_folder(settings, splits) if settings.dataset == "imagefolder" else load_memory(settings, splits)


def load_memory(settings: recipe.Data, splits: Sequence[str]) -> Dataset:
    """One of the sets that are held in memory."""
    found: dict[str, Split] = {}
    classes: tuple[str, ...] = ()
    if "train" in splits or "validation" in splits:
        training, classes = load_part(settings, train=True)
        found |= divide(training, settings)
    if "test" in splits:
        found["test"], classes = load_part(settings, train=False)
    published = torchvision_sets.PUBLISHED.get(settings.dataset)
    channels, *size = next(iter(found.values())).images.shape
    wanted = {name: found[name] for name in SPLITS if name in splits and name in found}
    return Dataset(settings.dataset, classes, channels, (size[0], size[1]), wanted, published)


def load_part(settings: recipe.Data, train: bool) -> tuple[Split, tuple[str, ...]]:
    """Training or test images of a set held in memory, and the names of its classes."""
    pixels: Tensor
    if settings.dataset == "digits":
        pixels, labels = digits.load_digits_part(train)
        classes = digits.CLASSES
    else:
        pixels, labels, classes = torchvision_sets.load_torchvision_part(
            settings.dataset, settings.data_dir, settings.download, train
        )
    if settings.image_size:
        from torchvision.transforms.v2.functional import resize

        pixels = resize(pixels, [settings.image_size, settings.image_size], antialias=True)
    return Split(MemoryImages(pixels), labels), classes


def load_folder(settings: recipe.Data, splits: Sequence[str]) -> Dataset:
    """A folder of images; `val/` beside `test/` is the validation split unless the settings make one."""
    layout = imagefolder.find_layout(settings.data_dir)
    own_validation = layout.validation if settings.validation == 0 else None
    folders: dict[str, Path] = {}
    if "train" in splits or ("validation" in splits and settings.validation):
        folders["train"] = imagefolder.required(layout.train, layout.root, "train")
    if "validation" in splits and own_validation is not None:
        folders["validation"] = own_validation
    if "test" in splits:
        folders["test"] = imagefolder.required(layout.test, layout.root, "test")
    if not folders:
        raise DataError(f"data folder `{layout.root}` has no validation images", "set `data.validation=0.1`")
    classes = imagefolder.class_names(layout.train or next(iter(folders.values())))
    files = {name: imagefolder.list_images(folder, classes) for name, folder in folders.items()}
    if settings.image_size:
        size = (settings.image_size, settings.image_size)
    else:
        size = image_size(next(iter(files.values()))[0][0])
    found = {
        name: Split(FolderImages(paths, size, resize=settings.image_size > 0), labels)
        for name, (paths, labels) in files.items()
    }
    if "train" in found:
        found |= divide(found["train"], settings)
    wanted = {name: found[name] for name in SPLITS if name in splits and name in found}
    return Dataset(settings.dataset, classes, 3, size, wanted)


def divide(training: Split, settings: recipe.Data) -> dict[str, Split]:
    """The training images, and the validation images taken out of them where the settings ask for some."""
    if settings.validation == 0:
        return {"train": training}
    count = validation_count(settings.validation, len(training))
    stay, held_out = stratified_split(training.labels, count, settings.split_seed)
    return {"train": training.pick(stay), "validation": training.pick(held_out)}
