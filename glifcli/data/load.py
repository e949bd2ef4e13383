"""The data set that a recipe names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from glifcli import recipe
from glifcli.data import digits, events, folders, torchvision_sets
from glifcli.data.dataset import Dataset, Split
from glifcli.data.decoding import ImageDecoder, image_size
from glifcli.data.images import Decoder, FolderImages, MemoryImages
from glifcli.data.names import DATASETS
from glifcli.data.normalisation import COUNTS, IMAGENET, Normalisation
from glifcli.data.validation import stratified_split, validation_count
from glifcli.errors import DataError, nearest

SPLITS = ("train", "validation", "test")
# Paths and labels.
Files = tuple[list[str], Tensor]


def load_dataset(settings: recipe.Data, splits: Sequence[str] = SPLITS) -> Dataset:
    """The data set with the `splits` asked for; "validation" only where the settings or a folder make one.

    Images of a folder are decoded when their split is first used, so `splits=("test",)` reads no training
    images. Raises DataError.
    """
    assert set(splits) <= set(SPLITS), splits
    if settings.dataset not in DATASETS:
        raise DataError(f"unknown data set `{settings.dataset}`", nearest(settings.dataset, DATASETS))
    return load_folder(settings, splits) if settings.dataset in folders.KINDS else load_memory(settings, splits)


def load_memory(settings: recipe.Data, splits: Sequence[str]) -> Dataset:
    """One of the sets that are held in memory."""
    found: dict[str, Split] = {}
    classes: tuple[str, ...] = ()
    if "train" in splits or "validation" in splits:
        training, classes = load_part(settings, train=True)
        found |= divide(training, settings)
    if "test" in splits:
        found["test"], classes = load_part(settings, train=False)
    return assemble(settings, classes, found, splits, torchvision_sets.PUBLISHED.get(settings.dataset))


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
        from torchvision.transforms.v2.functional import center_crop, resize

        size = [settings.image_size, settings.image_size]
        pixels = center_crop(resize(pixels, [settings.resize] * 2), size) if settings.resize else resize(pixels, size)
    return Split(MemoryImages(pixels), labels), classes


def load_folder(settings: recipe.Data, splits: Sequence[str]) -> Dataset:
    """A folder of images or event frames."""
    kind = folders.KINDS[settings.dataset]
    files, classes = find_files(settings, splits)
    first = next(iter(files.values()))[0][0]
    decoder: Decoder
    if kind is folders.EVENTS:
        decoder = events.decoder_like(first, settings.image_size)
    elif settings.image_size:
        decoder = ImageDecoder((settings.image_size, settings.image_size), resize=True, shorter_side=settings.resize)
    else:
        decoder = ImageDecoder(image_size(first), resize=False)
    found = {name: Split(FolderImages(paths, decoder), labels) for name, (paths, labels) in files.items()}
    if "train" in found:
        found |= divide(found["train"], settings)
    return assemble(settings, classes, found, splits, COUNTS if kind is folders.EVENTS else None)


def find_files(settings: recipe.Data, splits: Sequence[str]) -> tuple[dict[str, Files], tuple[str, ...]]:
    """The files of each split of a folder, and the names of its classes.

    `val/` beside `test/` is the validation split unless the settings make one out of the training files.
    """
    kind = folders.KINDS[settings.dataset]
    layout = folders.find_layout(settings.data_dir, settings.dataset)
    own_validation = layout.validation if settings.validation == 0 else None
    wanted = {name for name in splits if name != "validation"}
    if "validation" in splits and settings.validation:
        wanted.add("train")
    if not wanted and own_validation is None:
        raise DataError(f"data folder `{layout.root}` has no validation {kind.noun}", "set `data.validation=0.1`")
    if layout.undivided:
        classes = folders.class_names(layout.root, kind)
        return {name: files for name, files in undivided(layout.root, classes, kind).items() if name in wanted}, classes
    parts: dict[str, Path] = {}
    if "train" in wanted:
        parts["train"] = folders.required(layout.train, layout.root, "train", kind)
    if "validation" in splits and own_validation is not None:
        parts["validation"] = own_validation
    if "test" in wanted:
        parts["test"] = folders.required(layout.test, layout.root, "test", kind)
    classes = folders.class_names(layout.train or next(iter(parts.values())), kind)
    return {name: folders.list_files(part, classes, kind) for name, part in parts.items()}, classes


def undivided(root: Path, classes: Sequence[str], kind: folders.Kind) -> dict[str, Files]:
    """Training and test files, by the published split, of classes that lie directly in the folder of the set."""
    paths, labels = folders.list_files(root, classes, kind)
    training, test = events.published_split(labels)
    if len(test) == 0:
        raise DataError(
            f"the classes in `{root}` are too small to be divided: `{classes[0]}` has {int((labels == 0).sum())} files",
            f"add {kind.noun}, or lay them out as {kind.layout}",
        )
    parts = {"train": training, "test": test}
    return {name: ([paths[index] for index in part.tolist()], labels[part]) for name, part in parts.items()}


def assemble(
    settings: recipe.Data,
    classes: tuple[str, ...],
    found: Mapping[str, Split],
    splits: Sequence[str],
    published: Normalisation | None,
) -> Dataset:
    """The data set of the splits asked for, of those that were found."""
    *steps, channels, height, width = next(iter(found.values())).images.shape
    if settings.normalisation == "imagenet":
        if channels != 3:
            raise DataError(
                f"`data.normalisation=imagenet` is for 3 channels, `{settings.dataset}` has {channels}",
                "set `data.normalisation=auto`",
            )
        published = IMAGENET
    wanted = {name: found[name] for name in SPLITS if name in splits and name in found}
    time_steps = steps[0] if steps else None
    return Dataset(settings.dataset, classes, channels, (height, width), wanted, published, time_steps)


def divide(training: Split, settings: recipe.Data) -> dict[str, Split]:
    """The training images, and the validation images taken out of them where the settings ask for some."""
    if settings.validation == 0:
        return {"train": training}
    count = validation_count(settings.validation, len(training))
    stay, held_out = stratified_split(training.labels, count, settings.split_seed)
    return {"train": training.pick(stay), "validation": training.pick(held_out)}
