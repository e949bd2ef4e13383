"""Every kind of bad model file, to `eval` and `inspect-gates`: exit 2, what is wrong with which file, the fix."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.cli.conftest import rewrite, unchanged


class Bomb:
    """A pickle that makes a file when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("touch exploded",))


def raw(source: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(source)


def with_text(metadata: str) -> Callable[[Path, Path], object]:
    return lambda good, bad: safetensors.torch.save_file(raw(good), bad, {"glif": metadata})


def zeroed_header(good: Path, bad: Path) -> None:
    content = bytearray(good.read_bytes())
    content[8:40] = bytes(32)
    bad.write_bytes(content)


def zipped(good: Path, bad: Path) -> None:
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb()))


CASES: dict[str, tuple[Callable[[Path, Path], object], str, str]] = {
    "truncated": (
        lambda good, bad: bad.write_bytes(good.read_bytes()[:-100]),
        "is damaged or not safetensors: ",
        "copy it again",
    ),
    "cut in its header": (
        lambda good, bad: bad.write_bytes(good.read_bytes()[:50]),
        "is damaged or not safetensors: ",
        "copy it again",
    ),
    "a few bytes": (lambda good, bad: bad.write_bytes(b"\x10\0\0"), "is damaged or not safetensors: ", "copy it again"),
    "empty": (lambda good, bad: bad.write_bytes(b""), "is empty", "train anew"),
    "random bytes": (
        lambda good, bad: bad.write_bytes(bytes(range(7, 256)) * 40),
        "is damaged or not safetensors: ",
        "copy it again",
    ),
    "zeroed header": (zeroed_header, "is damaged or not safetensors: ", "copy it again"),
    "somebody else's safetensors": (
        lambda good, bad: safetensors.torch.save_file({"a": torch.ones(3)}, bad),
        "is safetensors, but not a glif model: it has no metadata `glif`",
        "`glif train`",
    ),
    "torch.save": (
        lambda good, bad: torch.save(raw(good), bad),
        "is a pickle, which may run code",
        "`glif convert bad.safetensors ",
    ),
    "a pickle": (
        lambda good, bad: bad.write_bytes(pickle.dumps(Bomb())),
        "is a pickle",
        "`glif convert bad.safetensors ",
    ),
    "a pickle in a zip": (zipped, "is a pickle", "`glif convert bad.safetensors "),
    "an old pickle": (
        lambda good, bad: bad.write_bytes(pickle.dumps(Bomb(), protocol=0)),
        "is damaged or not safetensors",
        "copy it again",
    ),
    "metadata cut": (with_text('{"format": 1, '), "are not a JSON object", "save it anew"),
    "metadata a list": (with_text("[1]"), "are not a JSON object", "save it anew"),
    "metadata nested deep": (with_text("[" * 100_000), "are not a JSON object", "save it anew"),
    "a future format": (
        lambda good, bad: rewrite(good, bad, format=9),
        "has the format 9, this version reads 1",
        "install the version that wrote it",
    ),
    "no format": (lambda good, bad: rewrite(good, bad, format=None), "has the format None", "install the version"),
    "an entry missing": (lambda good, bad: rewrite(good, bad, mean=None), "`mean` Field required", "save it anew"),
    "an entry too many": (lambda good, bad: rewrite(good, bad, mood="good"), "`mood`", "save it anew"),
    "an unknown architecture": (
        lambda good, bad: rewrite(good, bad, architecture="smalnet"),
        "`architecture` is `smalnet`: did you mean `smallnet`?",
        "save it anew",
    ),
    "an unknown neuron": (
        lambda good, bad: rewrite(good, bad, neuron={"name": "gilf"}),
        "`neuron.name` is `gilf`: did you mean `glif`?",
        "save it anew",
    ),
    "no time steps": (lambda good, bad: rewrite(good, bad, time_steps=0), "`time_steps` is `0`", "save it anew"),
    "no width": (lambda good, bad: rewrite(good, bad, width=0.0), "`width` is `0.0`", "save it anew"),
    "too few class names": (
        lambda good, bad: rewrite(good, bad, class_names=["0"]),
        "`class_names` has 1 entries, not 10",
        "save it anew",
    ),
    "too many means": (
        lambda good, bad: rewrite(good, bad, mean=[0.5, 0.5]),
        "`mean` has 2 entries, not 1",
        "save it anew",
    ),
    "a deviation of zero": (lambda good, bad: rewrite(good, bad, std=[0.0]), "`std` is `[0.0]`", "save it anew"),
    "another architecture": (
        lambda good, bad: rewrite(good, bad, architecture="resnet18"),
        "do not fit `resnet18`:\n  missing `head.1.weight`",
        "of another architecture or version",
    ),
    "another width": (
        lambda good, bad: rewrite(good, bad, width=0.5),
        "`head.0.weight` has shape [10, 16], the model [10, 32]",
        "of another architecture or version",
    ),
    "classes beyond all memory": (
        lambda good, bad: rewrite(good, bad, classes=10**13, class_names=["x"]),
        "`class_names` has 1 entries, not 10000000000000",
        "save it anew",
    ),
    "channels beyond all memory": (
        lambda good, bad: rewrite(good, bad, time_steps=10**13),
        "the model [10000000000000",
        "of another architecture or version",
    ),
    "a tensor missing": (
        lambda good, bad: rewrite(good, bad, {k: v for k, v in raw(good).items() if k != "head.0.weight"}),
        "  missing `head.0.weight`",
        "of another architecture or version",
    ),
    "a tensor too many": (
        lambda good, bad: rewrite(good, bad, raw(good) | {"extra": torch.ones(1)}),
        "  unexpected `extra`",
        "of another architecture or version",
    ),
    "whole numbers": (
        lambda good, bad: rewrite(good, bad, {k: v.to(torch.int32) for k, v in raw(good).items()}),
        "`head.0.weight` holds torch.int32, the model torch.float32",
        "of another architecture or version",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file(refused, finished_run: Path, case: str) -> None:
    make, error, hint = CASES[case]
    bad = Path("bad.safetensors")
    make(finished_run / "best.safetensors", bad)
    for command in (("inspect-gates", bad), ("eval", "--output", "new/report.json", "--checkpoint", bad)):
        err = refused(*command)
        assert "`bad.safetensors`" in err
        assert error in err
        assert hint in err.splitlines()[-1]


def test_long_lists_of_misfits_are_cut(refused, finished_run: Path) -> None:
    bad = rewrite(finished_run / "best.safetensors", Path("bad.safetensors"), architecture="resnet18")
    err = refused("inspect-gates", bad)
    assert len(err.splitlines()) < 15
    assert "  and 3" in err


@pytest.mark.parametrize(
    ("reference", "error", "hint"),
    [
        ("nowhere", "no checkpoint `nowhere`", "`runs/…`"),
        ("hf://owner/name", "`hf://owner/name` is on the Hugging Face Hub", "`model.safetensors`"),
        ("hf://owner/name@main", "`hf://owner/name@main`", "`model.safetensors`"),
        ("folder", "the folder `folder` holds no `best.safetensors` and no `last.safetensors`", "`glif train`"),
        ("begun", "the folder `begun` holds no `best.safetensors`", "`glif train --resume begun`"),
        ("/dev/null", "the checkpoint `/dev/null` is empty", "train anew"),
    ],
)
def test_a_reference_without_a_model(refused, reference: str, error: str, hint: str) -> None:
    Path("folder").mkdir()
    Path("begun").mkdir()
    Path("begun/recipe.toml").write_text("")
    for command in (["eval", "--checkpoint"], ["inspect-gates"], ["inspect-gates", "--checkpoint"]):
        err = refused(*command, reference)
        assert error in err
        assert hint in err.splitlines()[-1]


def test_the_model_to_compare_with_is_read_before_anything_is_written(refused, finished_run: Path) -> None:
    err = refused("inspect-gates", finished_run, "--compare", "nowhere", "--plot", "gates.png")
    assert "no checkpoint `nowhere`" in err


@pytest.mark.parametrize(
    ("made", "error", "hint"),
    [
        ({}, "does not say on which data set it was trained", "`--dataset NAME`"),
        ({"dataset": "zoo"}, "`data.dataset` is `zoo`", "save it anew"),
        ({"dataset": "digits", "validation": "x"}, "`data.validation` is", "save it anew"),
    ],
)
def test_metadata_that_lead_to_no_data(
    refused, finished_run: Path, made: dict[str, object], error: str, hint: str
) -> None:
    rewrite(finished_run / "best.safetensors", Path("bad.safetensors"), made=made)
    err = refused("eval", "--checkpoint", "bad.safetensors")
    assert "`bad.safetensors`" in err
    assert error in err
    assert hint in err


def test_an_unknown_precision_in_the_metadata_is_passed_over(glif, finished_run: Path) -> None:
    rewrite(finished_run / "best.safetensors", Path("odd.safetensors"), made={"dataset": "digits", "precision": "fp3"})
    code, out, err = glif("eval", "--checkpoint", "odd.safetensors", "--json", "--quiet", "--device", "cpu")
    assert (code, err) == (0, "")
    assert json.loads(out)["precision"] in ("fp32", "bf16")


def test_a_model_of_other_classes(refused, finished_run: Path) -> None:
    names = ["zero", *"123456789"]
    rewrite(finished_run / "best.safetensors", Path("other.safetensors"), class_names=names)
    err = refused("eval", "--checkpoint", "other.safetensors", "--quiet")
    assert "the classes of `digits` are not the model's: `0` stands where it learned `zero`" in err


def test_no_pickle_was_run(refused, finished_run: Path) -> None:
    Path("bad.safetensors").write_bytes(pickle.dumps(Bomb()))
    with unchanged(Path.cwd()):
        refused("inspect-gates", "bad.safetensors")
    assert not Path("exploded").exists()
