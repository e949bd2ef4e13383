"""One trained run for all, and `glif`: a command line run in this process, in an empty folder."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from glifcli.cli.app import run

SHORT = ("--epochs", "1", "--set", "model.width=0.25", "--batch-size", "128", "--device", "cpu")


class Result(NamedTuple):
    code: int
    out: str
    err: str


Glif = Callable[..., Result]


@pytest.fixture(scope="package")
def finished_run(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on the digits; to be read, not to be changed."""
    path = tmp_path_factory.mktemp("runs") / "first"
    with contextlib.redirect_stdout(None):
        assert run(["train", *SHORT, "--output", str(path), "--quiet"]) == 0
    return path


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only wait for each other in a network as small as this, here and in processes started here."""
    before, threads = os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    os.environ.pop("OMP_NUM_THREADS")
    if before is not None:
        os.environ["OMP_NUM_THREADS"] = before


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test in a folder of its own, without what the caller's environment would change."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("GLIF_") or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name)


@pytest.fixture
def glif(capsys: pytest.CaptureFixture[str]) -> Glif:
    """Runs a command line: exit code, stdout, stderr."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def refused(glif: Glif) -> Callable[..., str]:
    """Runs a command line that must be refused, leaving everything as it was; what it says on stderr."""

    def call(*arguments: object) -> str:
        with unchanged(Path.cwd()):
            result = glif(*arguments)
        assert result.code == 2, result
        assert result.out == ""
        assert_error(result.err)
        return result.err

    return call


def assert_error(err: str) -> None:
    """An error with a hint, and nothing else."""
    assert err.startswith("error: "), err
    assert err.splitlines()[-1].startswith("hint: "), err
    assert len(err.splitlines()[-1]) > len("hint: ")
    assert "Traceback" not in err
    assert "internal fault" not in err


@contextlib.contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Fails where the files and folders under `folder` are others afterwards, or hold something else."""

    def contents() -> dict[str, bytes | None]:
        return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}

    before = contents()
    yield
    after = contents()
    assert after.keys() == before.keys()
    assert after == before


def rewrite(source: Path, target: Path, state: dict[str, Tensor] | None = None, **changes: Any) -> Path:
    """A model file with other tensors or metadata; a change to None takes the entry out."""
    with safe_open(source, "pt") as opened:
        metadata = json.loads(opened.metadata()["glif"])
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    state = safetensors.torch.load_file(source) if state is None else state
    safetensors.torch.save_file(state, target, {"glif": json.dumps(metadata)})
    return target
