"""`glif convert`: what it prints and writes, and what it refuses, leaving nothing behind."""

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glifcli.checkpoint import load
from glifcli.models.registry import create_model
from glifcli.models.time_steps import with_time_steps
from glifcli.neurons.glif import GLIF
from tests.cli.conftest import Glif
from tests.convert.release import as_official

CONTRACT = {"schema_version", "source", "format", "model", "time_steps", "classes", "neuron", "output", "keys"}


class Bomb:
    """A pickle that makes a file when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("touch exploded",))


def state(**changes: Any) -> dict[str, Any]:
    """A small ResNet-18 as the authors save it; a change to None takes the entry out."""
    torch.manual_seed(0)
    model = create_model("resnet18", classes=10, time_steps=2, width=0.125)
    found = as_official(model, "resnet18") | {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture
def release() -> Path:
    torch.save({"state_dict": state()}, "release.pth.tar")
    return Path("release.pth.tar")


def test_the_answer(glif: Glif, release: Path) -> None:
    code, out, err = glif("convert", release, "models/ours.safetensors", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() >= CONTRACT
    assert answer["source"] == "release.pth.tar"
    assert answer["output"] == "models/ours.safetensors"
    assert (answer["format"], answer["model"], answer["neuron"]) == ("official", "resnet18", "glif")
    assert (answer["time_steps"], answer["classes"], answer["keys"]) == (2, 10, len(state()))
    assert answer["dataset"] == "cifar10"
    assert load(Path("models/ours.safetensors"))[1].mean == (0.4914, 0.4822, 0.4465)


def test_the_table_and_what_to_do_next(glif: Glif, release: Path) -> None:
    code, out, err = glif("convert", release, "ours.safetensors")
    assert code == 0
    assert "resnet18, width 0.125" in out
    assert f"{len(state())}, all used" in out
    assert err == "next: glif eval --checkpoint ours.safetensors\n"
    code, _, err = glif("convert", release, "ours.safetensors", "--quiet")
    assert (code, "`--force`" in err) == (2, True)
    assert glif("convert", release, "ours.safetensors", "--quiet", "--force") == (0, out, "")


@pytest.mark.parametrize("wrap", ["{}", "state_dict", "net", "model", "anything"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_however_the_weights_were_saved(glif: Glif, wrap: str, prefix: str) -> None:
    weights = {f"{prefix}{key}": value for key, value in state().items()}
    content = weights if wrap == "{}" else {wrap: weights, "epoch": 3, "optimizer": {"state": {}}, "loss": 0.5}
    torch.save(content, "a.pth", _use_new_zipfile_serialization=wrap != "net")
    code, out, err = glif("convert", "a.pth", "ours.safetensors", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["keys"] == len(weights)


def bytes_of(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def nan(key: str) -> dict[str, Any]:
    found = state()
    found[key].view(-1)[0] = float("nan")
    return found


GOOD = bytes_of({"state_dict": state()})
BAD: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "a truncated zip": (lambda: GOOD[:-100], ["is damaged", "zip archive"]),
    "an image": (lambda: b"\xff\xd8\xff\xe0" + bytes(100), ["is damaged, or neither safetensors"]),
    "safetensors of nothing": (lambda: (2).to_bytes(8, "little") + b"{}", ["holds no tensors"]),
    "a sparse tensor": (
        lambda: bytes_of(state(features__1__lif__tau=torch.zeros(8).to_sparse())),
        ["without plain numbers: `features.1.lif.tau`"],
    ),
    "a variance below 0": (
        lambda: bytes_of(state(conv1__0__1__running_var=-torch.ones(8))),
        ["variances below 0: `conv1.0.1.running_var`"],
    ),
    "complex numbers": (
        lambda: bytes_of(state(conv1__0__1__num_batches_tracked=torch.tensor(1j))),
        ["`conv1.0.1.num_batches_tracked` holds torch.complex64"],
    ),
    "a second state dict": (lambda: bytes_of({"state_dict": state(), "model": state()}), ["several state dicts"]),
    "a few bytes": (lambda: b"hello", ["is damaged, or neither safetensors"]),
    "nothing": (lambda: b"", ["is damaged, or neither safetensors"]),
    "cut safetensors": (lambda: (1000).to_bytes(8, "little") + b'{"a":' + bytes(2000), ["is damaged"]),
    "a pickle that runs code": (lambda: pickle.dumps(Bomb()), ["could run code", "nothing of it was run"]),
    "code among the weights": (
        lambda: bytes_of({"state_dict": state(), "args": Bomb()}),
        ["holds more than weights, `posix.system`", "nothing of it was run"],
    ),
    "a whole model": (lambda: bytes_of(torch.nn.Linear(2, 2)), ["`torch.nn.modules.linear.Linear`"]),
    "a NumPy number": (lambda: bytes_of({"state_dict": state(), "best": np.float64(3)}), ["`numpy._core.multiarray"]),
    "no state dict": (lambda: bytes_of([1, 2]), ["holds no state dict"]),
    "an empty one": (lambda: bytes_of({"state_dict": {}}), ["holds no state dict"]),
    "two": (lambda: bytes_of({"a": state(), "b": state()}), ["several state dicts, `a`, `b`"]),
    "no tensor": (lambda: bytes_of({"state_dict": state(lastave__2="text")}), ["`lastave.2` is a str"]),
    "another architecture": (
        lambda: bytes_of({f"layer{n}.weight": torch.ones(3, 3) for n in range(40)}),
        ["fits no network", *(f"  unexpected `layer{n}.weight`\n" for n in range(40))],
    ),
    "a half-converted name": (
        lambda: bytes_of({key.replace("conv1.1", "stem.neuron"): value for key, value in state().items()}),
        ["missing `conv1.1.tau`", "unexpected `stem.neuron.tau`"],
    ),
    "a key missing": (lambda: bytes_of(state(features__1__lif__tau=None)), ["missing `features.1.lif.tau`"]),
    "NaN weights": (
        lambda: bytes_of(nan("features.3.body.0.0.weight")),
        ["are not finite: `features.3.body.0.0.weight`"],
    ),
    "a T that does not fit": (
        lambda: bytes_of(state(features__1__lif__conduct=torch.zeros(3, 8))),
        ["`features.1.lif.conduct` has shape [3, 8], the model [2, 8]"],
    ),
    "whole numbers": (
        lambda: bytes_of(state(features__1__lif__tau=torch.zeros(8, dtype=torch.int64))),
        ["`features.1.lif.tau` holds torch.int64"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file(refused: Callable[..., str], case: str) -> None:
    content, words = BAD[case]
    Path("bad.pth.tar").write_bytes(content())
    err = refused("convert", "bad.pth.tar", "new/ours.safetensors")
    assert "`bad.pth.tar`" in err
    for word in words:
        assert word in err
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["nowhere.pth", "a.safetensors"], "no checkpoint `nowhere.pth`", "run folder"),
        (["release.pth.tar", "a.pth"], "`a.pth` is the name of a pickle", "`a.safetensors`"),
        (["release.pth.tar", "a.safetensors", "--to", "onnx"], "`--to` is `onnx`", "`spikingjelly`"),
        (["release.pth.tar", "a.safetensors", "--model", "resnet17"], "no model `resnet17`", "did you mean `resnet1"),
        (["release.pth.tar", "a.safetensors", "--model", "resnet19"], "but of `resnet18`", "leave out `--model`"),
        (["release.pth.tar", "a.safetensors", "--time-steps", "0"], "`0` time steps", "1 or more"),
        (["release.pth.tar", "a.safetensors", "--conductance", "mean"], "`--conductance mean`", "`--time-steps N`"),
        (
            ["release.pth.tar", "a.safetensors", "--time-steps", "4", "--conductance", "first"],
            "`4` time steps",
            "`--conductance hold`",
        ),
        (
            ["release.pth.tar", "a.safetensors", "--time-steps", "4", "--conductance", "frist"],
            "`conductance` is `frist`",
            "did you mean `first`?",
        ),
        (["release.pth.tar", "a.safetensors", "--map", "no.toml"], "cannot read the map `no.toml`", "`[keys]`"),
        (["release.pth.tar", "a.safetensors", "--dataset", "cifar1"], "no data set `cifar1`", "did you mean"),
        (
            ["release.pth.tar", "a.safetensors", "--dataset", "digits"],
            "have 1 channels, the model takes 3",
            "--dataset",
        ),
        (["release.pth.tar", "release.pth.tar/a.safetensors"], "is to be in `", "a folder"),
        (["release.pth.tar", "release.pth.tar", "--to", "spikingjelly", "--force"], "would be lost", "another DST"),
        (["release.pth.tar", "a.safetensors", "--time-steps", "9" * 20], "time steps", "up to 1024"),
        (["release.pth.tar"], "`DST` is missing", "`glif convert SRC DST`"),
    ],
)
def test_what_it_refuses(
    refused: Callable[..., str], release: Path, arguments: list[str], error: str, hint: str
) -> None:
    err = refused("convert", *arguments)
    assert error in err
    assert hint in err.splitlines()[-1]


def test_a_model_of_ours_needs_no_name(refused: Callable[..., str], finished_run: Path) -> None:
    err = refused("convert", finished_run, "a.safetensors", "--model", "smallnet")
    assert "says what it is" in err


def test_a_model_to_liken_it_to_must_be_alike(refused: Callable[..., str], release: Path, finished_run: Path) -> None:
    err = refused("convert", release, "a.safetensors", "--like", finished_run)
    assert "takes 1 channels" in err


@pytest.mark.parametrize(("time_steps", "conductance"), [(2, "first"), (6, "hold"), (6, "linear"), (3, "mean")])
def test_time_steps(glif: Glif, finished_run: Path, time_steps: int, conductance: str) -> None:
    arguments = ("--time-steps", time_steps, "--conductance", conductance)
    code, out, err = glif("convert", finished_run, "a.safetensors", *arguments, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (answer["time_steps"], answer["trained_time_steps"], answer["format"]) == (time_steps, 4, "glif")
    model, metadata = load(Path("a.safetensors"))
    assert metadata.made["trained_time_steps"] == 4
    assert metadata.made["conductance"] == conductance
    expected = with_time_steps(load(finished_run / "best.safetensors")[0], time_steps, conductance)
    assert model.time_steps == time_steps
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected.parameters(), strict=True))
    code, out, _ = glif("eval", "--checkpoint", "a.safetensors", "--json", "--quiet")
    assert (code, json.loads(out)["time_steps"]) == (0, time_steps)


def test_rounded_gates_and_what_they_cost(glif: Glif, finished_run: Path) -> None:
    arguments = ("--harden-gates", "--dataset", "digits")
    code, out, err = glif("convert", finished_run, "hard.safetensors", *arguments, "--json")
    assert (code, err) == (0, "")
    hardening = json.loads(out)["hardening"]
    assert len(hardening["gates"]) == 3 * 3
    assert all(0 <= row["ones"] <= 1 and 0.4 < row["moved"] <= 0.5 for row in hardening["gates"])
    model, metadata = load(Path("hard.safetensors"))
    assert metadata.neuron.mode == "hard"
    for _, neuron in model.neurons():
        assert isinstance(neuron, GLIF)
        values = torch.cat([neuron.values()[gate] for gate in ("alpha", "beta", "gamma")])
        assert set(values.tolist()) == {0.0, 1.0}
    for name, path in (("before", finished_run), ("after", "hard.safetensors")):
        evaluated = json.loads(glif("eval", "--checkpoint", path, "--json", "--quiet").out)
        assert hardening[name]["top1"] == evaluated["accuracy"]["top1"]
        assert hardening[name]["loss"] == pytest.approx(evaluated["loss"], abs=1e-6)
        assert hardening[name]["energy_uj"] == pytest.approx(evaluated["operations"]["energy_uj"], rel=1e-6)
    assert hardening["before"]["loss"] != hardening["after"]["loss"]
    code, out, _ = glif("convert", finished_run, "hard.safetensors", *arguments, "--force", "--quiet")
    assert "What rounding costs: digits, test" in out


def test_gates_that_cannot_be_rounded(refused: Callable[..., str], glif: Glif, finished_run: Path) -> None:
    assert glif("convert", finished_run, "hard.safetensors", "--harden-gates", "--quiet").code == 0
    err = refused("convert", "hard.safetensors", "twice.safetensors", "--harden-gates")
    assert "the gates are rounded already" in err


def test_a_full_disk_leaves_what_was_there(
    refused: Callable[..., str], release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ours.safetensors").write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    err = refused("convert", release, "ours.safetensors", "--force")
    assert "No space left on device" in err
    assert "free some space" in err


def test_images_that_nobody_knows_are_measured_at_their_own_size(glif: Glif, finished_run: Path) -> None:
    assert glif("convert", finished_run, "sj.pth", "--to", "spikingjelly", "--quiet").code == 0
    assert glif("convert", "sj.pth", "back.safetensors", "--dataset", "digits", "--quiet").code == 0
    _, metadata = load(Path("back.safetensors"))
    assert metadata.image_size == (8, 8)
    assert 0.2 < metadata.mean[0] < 0.4
    before, after = (
        json.loads(glif("eval", "--checkpoint", path, "--json", "--quiet").out)
        for path in (finished_run, "back.safetensors")
    )
    # Measured on the validation images too, which the run kept apart.
    assert after["loss"] == pytest.approx(before["loss"], abs=1e-3)


def test_variables_of_the_environment_ask_for_no_data(
    glif: Glif, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIF_DATA_DIR", "nowhere")
    monkeypatch.setenv("GLIF_DATASET", "imagefolder")
    assert glif("convert", release, "ours.safetensors", "--quiet").code == 0


def test_what_a_map_leaves_out_is_counted(glif: Glif) -> None:
    torch.save(state(junk=torch.ones(1)), "a.pth")
    Path("map.toml").write_text('[keys]\njunk = ""\n')
    code, out, _ = glif("convert", "a.pth", "ours.safetensors", "--map", "map.toml", "--quiet")
    assert code == 0
    assert f"{len(state())}, all used, 1 left out" in out


def test_the_trained_time_steps_outlast_conversions(glif: Glif, finished_run: Path) -> None:
    for source, target, steps in ((finished_run, "a", 6), ("a.safetensors", "b", 3), ("b.safetensors", "c", 4)):
        assert glif("convert", source, f"{target}.safetensors", "--time-steps", steps, "--quiet").code == 0
    assert load(Path("b.safetensors"))[1].made["trained_time_steps"] == 4
    assert "trained_time_steps" not in load(Path("c.safetensors"))[1].made
    _, out, _ = glif("eval", "--checkpoint", "b.safetensors", "--quiet")
    assert "T = 3 (trained with 4, conductance hold)" in out
    drifts = [
        json.loads(glif("inspect-gates", path, "--json").out)["layers"][0]["drift"]["leak"]
        for path in (finished_run, "b.safetensors")
    ]
    assert drifts[0] == drifts[1]


def test_fewer_time_steps_and_rounded_gates_of_a_double_network_on_event_frames(glif: Glif) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for name in ("a", "b"):
            Path(f"events/{part}/{name}").mkdir(parents=True)
            for index in range(count):
                frames = random.poisson(1.0, (5, 2, 8, 8)).astype(np.int16)
                np.savez(f"events/{part}/{name}/{index}.npz", frames=frames)
    data = ("--dataset", "eventframes", "--data-dir", "events")
    settings = ("--time-steps", 5, "--precision", "fp64", "--epochs", 1, "--batch-size", 4, "--device", "cpu")
    more = ("--set", "model.width=0.25", "--set", "data.validation=0", "--output", "run", "--quiet")
    assert glif("train", *data, *settings, *more).code == 0
    arguments = ("--time-steps", 3, "--harden-gates", *data)
    code, out, err = glif("convert", "run", "hard.safetensors", *arguments, "--json")
    assert (code, err) == (0, "")
    after = json.loads(out)["hardening"]["after"]
    code, out, err = glif("eval", "--checkpoint", "hard.safetensors", "--data-dir", "events", "--json", "--quiet")
    assert (code, err) == (0, "")
    assert json.loads(out)["loss"] == after["loss"]
