"""`glif train` and `glif eval` on event frames, and on images that are cut as for ImageNet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glifcli.checkpoint import read_metadata
from tests.cli.conftest import Glif
from tests.data.samples import write_image

STEPS = 3
TRAIN = ("train", "digits/smallnet", "--set", "model.width=0.25", "--batch-size", "4", "--output", "run")
PLACE = ("--device", "cpu", "--quiet", "--json")


@pytest.fixture
def events() -> str:
    """Classes in the folder itself, of one polarity and of the other."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("off", "on")):
        Path("dvs", name).mkdir(parents=True)
        for number in range(20):
            counts = random.integers(0, 3, (STEPS, 2, 16, 16))
            counts[:, label] += 3
            np.savez(Path("dvs", name, f"{number}.npz"), frames=counts.astype(np.uint8))
    return "dvs"


def answered(glif: Glif, *arguments: str) -> dict[str, Any]:
    code, out, err = glif(*arguments, *PLACE)
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("size", [0, 8])
def test_event_frames_are_learned_and_evaluated(size: int, glif: Glif, events: str) -> None:
    chosen = ("--dataset", "eventframes", "--data-dir", events, "--set", f"data.image_size={size}")
    more = ("--set", "data.validation=0.2", "--time-steps", "3", "--epochs", "3")
    trained = answered(glif, *TRAIN, *chosen, *more)
    # The model file names the data, the run's recipe beside it says where they are.
    report = answered(glif, "eval", "--checkpoint", "run")
    assert (report["dataset"], report["time_steps"], report["images"]) == ("eventframes", STEPS, 4)
    assert report["accuracy"]["top1"] == trained["accuracy"]["top1"] == 1.0
    assert answered(glif, "eval", "--checkpoint", "run", "--split", "validation")["images"] == 7
    metadata = read_metadata(Path("run", "last.safetensors"))
    assert (metadata.mean, metadata.std, metadata.in_channels) == ((0, 0), (1, 1), 2)
    assert metadata.image_size == ((size, size) if size else (16, 16))


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_another_number_of_time_steps(more: tuple[str, ...], refused: Callable[..., str], events: str) -> None:
    err = refused(*TRAIN, "--dataset", "eventframes", "--data-dir", events, "--time-steps", "4", *more)
    assert "error: the event frames of `eventframes` have 3 time steps, the model 4\n" in err
    assert "hint: add `--time-steps 3`\n" in err


def test_images_are_evaluated_as_cut_in_training(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, count in (("train", 8), ("test", 6)):
        for number in range(count):
            write_image(Path("photos", split, "ab"[number % 2], f"{number}.png"), number, size=(20, 30))
    chosen = ("--dataset", "imagefolder", "--data-dir", "photos", "--epochs", "1", "--set", "data.validation=0")
    cut = ("--set", "data.image_size=8", "--set", "data.resize=16", "--set", "augment.random_resized_crop=0.2")
    answered(glif, *TRAIN, *chosen, *cut, "--set", "augment.crop_padding=0", "--set", "data.normalisation=imagenet")
    trained = json.loads(Path("run", "report.json").read_text())
    metadata = read_metadata(Path("run", "last.safetensors"))
    assert (metadata.made["resize"], metadata.image_size) == (16, (8, 8))
    assert metadata.mean == (0.485, 0.456, 0.406)
    # Without the recipe beside it, the model file alone says how.
    Path("run", "recipe.toml").unlink()
    report = answered(glif, "eval", "--checkpoint", "run", "--data-dir", "photos")
    for key in ("accuracy", "loss", "firing_rate"):
        assert report[key] == trained[key]
    # Another cut would give other rates.
    monkeypatch.setattr("glifcli.data.decoding.resize_then_crop", lambda image, size, _: image.resize(size))
    other = answered(glif, "eval", "--checkpoint", "run", "--data-dir", "photos")
    assert other["firing_rate"] != trained["firing_rate"]
