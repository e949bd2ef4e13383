"""Wrong input to `glif train` and `glif eval`: exit 2, the value, the fix, and not a file left behind."""

from pathlib import Path

import pytest

from tests.cli.conftest import SHORT, Glif, assert_error, unchanged
from tests.data.samples import write_folder, write_image


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["digts"], "no recipe `digts`", "did you mean `digits`?"),
        (["cifar10/resnet20"], "no recipe `cifar10/resnet20`", "did you mean `cifar10/resnet1"),
        (["zzz"], "no recipe `zzz`", "`glif list`"),
        (["cifar10"], "could be `cifar10/cifarnet`, `cifar10/resnet18`", "`glif train cifar10/cifarnet`"),
        (["none.toml"], "no recipe file `none.toml`", "check the path"),
        ([""], "no recipe ``", "`glif list`"),
        (["--set", "optim.lrr=1"], "unknown key `optim.lrr`: did you mean `optim.lr`?", "`optim.lrr`"),
        (["--set", "lr=1"], "unknown key `lr`: did you mean `optim.lr`?", "`lr`"),
        (["--set", "zoo.keeper=1"], "unknown key `zoo`: known: `augment`", "`zoo.keeper`"),
        (["--set", "model.name=resnet9"], "`model.name` is `resnet9`: did you mean `resnet19`", "`model.name`"),
        (["--set", "neuron.name=gilf"], "`neuron.name` is `gilf`: did you mean `glif`?", "`neuron.name`"),
        (["--dataset", "cifar11"], "`data.dataset` is `cifar11`: did you mean `cifar10`?", "`data.dataset`"),
        (["--set", "optim.lr=fast"], '`optim.lr` is `"fast"`: it should be a valid number', "`optim.lr`"),
        (["--set", "optim.lr=nan"], "`optim.lr` is `NaN`: it should be a finite number", "`optim.lr`"),
        (["--set", "optim.lr=0.1\nfoo=3"], '`optim.lr` is `"0.1\\nfoo=3"`', "`optim.lr`"),
        (["--set", "model=3"], "`model` is `3`: it should be a table", "`model`"),
        (["--set", "optim.lr"], "`--set optim.lr` is not a key and a value", "`--set optim.lr=0.05`"),
        (
            ["--batch-size", "0"],
            "`data.batch_size` is `0`: it should be greater than or equal to 1",
            "`data.batch_size`",
        ),
        (["--time-steps", "0"], "`model.time_steps` is `0`", "`model.time_steps`"),
        (["--epochs", "0"], "`train.epochs` is `0`", "`train.epochs`"),
        (["--seed", "-1"], "`train.seed` is `-1`: it should be greater than or equal to 0", "`train.seed`"),
        (["--precision", "fp8"], "`train.precision` is `fp8`: did you mean `fp64`?", "`train.precision`"),
        (["--backend", "referense"], "no backend `referense`", "did you mean `reference`?"),
        (["--device", "banana"], "no device `banana`", "`--device cpu`"),
        (["--device", "cuda:99"], "the device `cuda:99` is not there", "`--device cpu`"),
        (["--device", "cpu:1"], "the device `cpu:1` is not there", "`--device cpu`"),
        (["--device", "meta"], "the device `meta` holds no numbers", "`--device cpu`"),
        (["--dataset", "imagefolder"], "data set `imagefolder` needs a folder", "`--data-dir FOLDER`"),
        (["--dataset", "imagefolder", "--data-dir", "no"], "/no` does not exist", "`--data-dir FOLDER`"),
        (["--dataset", "cifar10", "--data-dir", "no"], "/no`, or is damaged", "`--download`"),
        (["--set", "data.validation=5000"], "`data.validation=5000` asks for 5000 of 1437", "`data.validation=0.1`"),
        (["--output", "/proc/none/run"], "cannot write `/proc/none/run`", "give another path"),
    ],
)
def test_train_refuses(refused, arguments: list[str], error: str, hint: str) -> None:
    err = refused("train", *arguments)
    assert error in err
    assert hint in err.splitlines()[-1]


def test_a_device_that_is_not_there(refused) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has what the test asks for")
    assert "error: the device `cuda` is not there\nhint: give `--device cpu`" in refused("train", "--device", "cuda")


def test_every_problem_of_a_file_is_told(refused, tmp_path: Path) -> None:
    Path("bad.toml").write_text('[train]\nepochs = "many"\n[model]\nnaem = "x"\nname = "resnet9"\n[food]\na = 1\n')
    err = refused("train", "bad.toml")
    assert err.startswith("error: 4 problems in recipe `bad.toml`\n")
    assert '  `train.epochs` is `"many"`: it should be a valid integer\n' in err
    assert "  unknown key `model.naem`: did you mean `model.name`?\n" in err
    assert "  `model.name` is `resnet9`: did you mean `resnet19`" in err
    assert "unknown key `food`" in err
    assert "hint: edit `bad.toml`" in err


def test_a_syntax_error_has_its_line(refused) -> None:
    Path("bad.toml").write_text("[model]\nname = \n")
    err = refused("train", "bad.toml")
    assert "not TOML: Invalid value (at line 2, column 8)" in err
    assert "hint: mend that line" in err


def test_a_recipe_that_is_not_text(refused) -> None:
    Path("bad.toml").write_bytes(b"\xff\xfe\x00")
    assert "not a text file in UTF-8" in refused("train", "bad.toml")


def test_a_recipe_that_is_a_file_and_in_the_zoo(refused) -> None:
    Path("digits").mkdir()
    Path("digits/smallnet").write_text("")
    err = refused("train", "digits/smallnet")
    assert "`digits/smallnet` is a file here and, in the zoo, `digits/smallnet`" in err
    assert "`glif train ./digits/smallnet` for the file" in err


def test_an_empty_data_folder(refused) -> None:
    Path("photos").mkdir()
    err = refused("train", "--dataset", "imagefolder", "--data-dir", "photos", "--output", "run")
    assert f"data folder `{Path.cwd()}/photos` has no folders" in err
    assert "`train/<class>/*.jpg`" in err


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_text_file_named_jpg(refused, split: str) -> None:
    write_folder(Path("photos"), {"train": {"cat": 20, "dog": 20}, "test": {"cat": 2, "dog": 2}})
    Path(f"photos/{split}/cat/note.jpg").write_text("not an image")
    err = refused("train", "--dataset", "imagefolder", "--data-dir", "photos", "--output", "run", *SHORT)
    assert f"image `{Path.cwd()}/photos/{split}/cat/note.jpg` cannot be decoded" in err
    assert f"rm {Path.cwd()}/photos/{split}/cat/note.jpg" in err


def test_an_image_of_another_size(refused) -> None:
    write_folder(Path("photos"), {"train": {"cat": 20, "dog": 20}, "test": {"cat": 2, "dog": 2}})
    write_image(Path("photos/train/dog/wide.png"), size=(8, 12))
    err = refused("train", "--dataset", "imagefolder", "--data-dir", "photos", "--output", "run", *SHORT)
    assert "/photos/train/dog/wide.png` is `12x8`" in err
    assert "`--set data.image_size=8`" in err


def test_an_output_folder_that_holds_a_run(refused, finished_run: Path) -> None:
    with unchanged(finished_run):
        err = refused("train", *SHORT, "--output", finished_run)
    assert f"the folder `{finished_run}` holds a run" in err
    assert f"`glif train --resume {finished_run}`" in err
    assert "`--force`" in err


def test_an_output_folder_with_other_things(refused) -> None:
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("x")
    assert "the folder `mine` is not empty" in refused("train", "--output", "mine")


@pytest.mark.parametrize("output", ["note.txt", "/dev/null"])
def test_an_output_that_is_a_file(refused, output: str) -> None:
    Path("note.txt").write_text("x")
    err = refused("train", "--output", output)
    assert f"the output `{output}` is a file" in err
    assert "`--output`" in err


def test_an_output_below_a_file(refused) -> None:
    Path("note.txt").write_text("x")
    err = refused("train", "--output", "note.txt/run")
    assert "note.txt`, a file" in err
    assert "give a path in a folder" in err


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["--split", "tset"], "`--split` is `tset`", "did you mean `test`?"),
        (["--precision", "fp8"], "`--precision` is `fp8`", "did you mean `fp64`?"),
        (["--batch-size", "0"], "`--batch-size` is `0`", "`--batch-size 128`"),
        (["--backend", "refrence"], "no backend `refrence`", "did you mean `reference`?"),
        (["--device", "banana", "--output", "new/report.json"], "no device `banana`", "`--device cpu`"),
        (["--dataset", "cifar11"], "no data set `cifar11`", "did you mean `cifar10`?"),
        (["--dataset", "imagefolder"], "data set `imagefolder` needs a folder", "`--data-dir FOLDER`"),
        (["--output", "note.txt"], "the file `note.txt` exists", "`--force`"),
        (["--output", "note.txt/report.json"], "`note.txt/report.json`", "give a path"),
        (["--output", "folder"], "the output `folder` is a folder", "the path of a file"),
        (["--time-steps", "0"], "`--time-steps` is `0`", "`--time-steps 1,2,4`"),
        (["--time-steps", "a"], "`--time-steps` is `a`", "whole numbers from 1"),
        (["--time-steps", "1,,2", "--output", "new.json"], "`--time-steps` is `1,,2`, of which `` is none", "`--time-"),
        (["--time-steps", "1,-2"], "of which `-2` is none", "whole numbers from 1"),
        (["--time-steps", "1.5"], "`--time-steps` is `1.5`", "whole numbers from 1"),
        (["--time-steps", ""], "`--time-steps` is ``", "whole numbers from 1"),
        (["--early-exit", "1.5", "--plot", "new.png"], "`--early-exit` is `1.5`", "`--early-exit 0.9`"),
        (["--early-exit", "0.5,0"], "of which `0` is none", "above 0, up to 1"),
        (["--early-exit", "nan"], "`--early-exit` is `nan`", "above 0, up to 1"),
        (["--early-exit", "high"], "`--early-exit` is `high`", "above 0, up to 1"),
        (["--time-steps", "2", "--conductance", "foo"], "`--conductance` is `foo`", "known: `first`"),
        (["--time-steps", "2", "--conductance", "men"], "`--conductance` is `men`", "did you mean `mean`?"),
        (["--conductance", "mean"], "`--conductance mean` has no meaning", "`--time-steps N`"),
        (
            ["--time-steps", "2,6", "--conductance", "first", "--output", "new.json"],
            "`6` time steps, and the network was trained with the conductance of `4`",
            "`--conductance hold`",
        ),
        (["--time-steps", "1,2", "--early-exit", "0.9"], "not `--time-steps 1,2`", "`--time-steps 2`"),
        (["--plot", "new.png"], "`--plot new.png` draws the curve of an early exit", "`--early-exit 0.9`"),
        (["--early-exit", "0.9", "--plot", "note.txt"], "the file `note.txt` exists", "`--force`"),
        (
            ["--early-exit", "0.9", "--plot", "x", "--output", "x"],
            "`--plot` and `--output` are both `x`",
            "its own file",
        ),
        (["--output", "/dev/null", "--force"], "the output `/dev/null` is not a file", "the path of a file"),
    ],
)
def test_eval_refuses(refused, finished_run: Path, arguments: list[str], error: str, hint: str) -> None:
    Path("note.txt").write_text("mine")
    Path("folder").mkdir()
    err = refused("eval", "--checkpoint", finished_run, *arguments)
    assert error in err
    assert hint in err.splitlines()[-1]


def test_eval_on_other_classes(refused, finished_run: Path) -> None:
    write_folder(Path("photos"), {"test": {"cat": 2, "dog": 2}})
    arguments = ("--dataset", "imagefolder", "--data-dir", "photos", "--output", "new/report.json")
    err = refused("eval", "--checkpoint", finished_run, *arguments, "--quiet")
    assert "the images of `imagefolder` have 3 channels, the model takes 1" in err
    assert "`--dataset digits`" in err


def test_refused_for_want_of_rights(glif: Glif, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "closed")
    with unchanged(Path.cwd()):
        code, out, err = glif("inspect-gates", finished_run, "--plot", "closed/new/gates.png")
    assert (code, out) == (2, "")
    assert_error(err)
    assert "closed` cannot be written to" in err
