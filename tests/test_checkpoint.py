"""Model files written and read again. What is wrong with bad ones: tests/cli/test_bad_checkpoints.py."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest
import safetensors
import torch

from glifcli.checkpoint import BEST, LAST, Metadata, find, load, load_model, read_metadata, save
from glifcli.errors import CheckpointError, SaveError
from glifcli.models.registry import from_config
from glifcli.neurons.config import NeuronConfig

METADATA = Metadata(
    format=1,
    architecture="smallnet",
    classes=3,
    time_steps=2,
    in_channels=1,
    width=0.25,
    neuron=NeuronConfig(),
    image_size=(8, 8),
    mean=(0.5,),
    std=(0.25,),
    class_names=("a", "b", "c"),
    made={"dataset": "digits", "epoch": 3},
)


@pytest.mark.parametrize(
    "neuron", [NeuronConfig("glif", time_wise=True, mode="hard"), NeuronConfig("glif-f"), NeuronConfig("plif")]
)
def test_a_model_comes_back(tmp_path: Path, neuron: NeuronConfig) -> None:
    metadata = dataclasses.replace(METADATA, neuron=neuron)
    model = from_config(metadata.model_config()).eval()
    save(tmp_path / "a.safetensors", model.state_dict(), metadata)
    again, told = load(tmp_path / "a.safetensors")
    assert told == metadata == read_metadata(tmp_path / "a.safetensors")
    assert not again.training
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(images), model(images))


def test_the_same_model_is_the_same_bytes_under_one_key(tmp_path: Path) -> None:
    model = from_config(METADATA.model_config())
    for name in ("a", "b"):
        save(
            tmp_path / name, dict(reversed(model.state_dict().items())) if name == "b" else model.state_dict(), METADATA
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safetensors.safe_open(tmp_path / "a", "pt") as opened:
        assert opened.metadata().keys() == {"glif"}
        text = opened.metadata()["glif"]
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_loading_leaves_the_random_numbers_alone(tmp_path: Path) -> None:
    save(tmp_path / "a", from_config(METADATA.model_config()).state_dict(), METADATA)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(tmp_path / "a")
    assert torch.equal(torch.rand(3), expected)


def test_a_failed_save_leaves_the_file_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = from_config(METADATA.model_config())
    save(tmp_path / "a", model.state_dict(), METADATA)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(SaveError, match="No space left on device"):
            save(tmp_path / "a", model.state_dict(), dataclasses.replace(METADATA, made={"epoch": 4}))
    assert load(tmp_path / "a")[1].made["epoch"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_run_folder_stands_for_its_best_model_then_its_last(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"holds no `{BEST}` and no `{LAST}`"):
        find(str(tmp_path))
    (tmp_path / LAST).touch()
    assert find(str(tmp_path)) == tmp_path / LAST
    (tmp_path / BEST).touch()
    assert find(str(tmp_path)) == tmp_path / BEST
    assert find(str(tmp_path / LAST)) == tmp_path / LAST


def test_load_model_takes_a_run_folder_or_a_file(tmp_path: Path) -> None:
    save(tmp_path / LAST, from_config(METADATA.model_config()).state_dict(), METADATA)
    for reference in (tmp_path, str(tmp_path), tmp_path / LAST):
        assert load_model(reference).classes == 3


def test_a_backend_is_checked(tmp_path: Path) -> None:
    save(tmp_path / "a", from_config(METADATA.model_config()).state_dict(), METADATA)
    load(tmp_path / "a", "reference")
    with pytest.raises(ValueError, match="no backend `nonsense`"), torch.no_grad():
        load(tmp_path / "a", "nonsense")[0](torch.rand(1, 1, 8, 8))
