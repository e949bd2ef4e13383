"""Files are the old or the new, whatever happens."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from glifcli.errors import SaveError
from glifcli.files import make_folder, remove_leftovers, write_atomically


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    path = tmp_path / "a"
    path.write_bytes(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(call, fail)
        with pytest.raises(SaveError) as caught:
            write_atomically(path, b"two")
    assert caught.value.message == f"cannot write `{path}`: {os.strerror(code)}"
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert path.read_bytes() == b"one"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_interruption_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_bytes(b"one")
    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("path", "hint"),
    [("none/a", "make the folder first"), ("file/a", "a part of the path is a file")],
)
def test_a_place_that_is_not_there(tmp_path: Path, path: str, hint: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError) as caught:
        write_atomically(tmp_path / path, b"x")
    assert hint in caught.value.hint
    assert "give another path" in caught.value.hint


def test_make_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for path in ("file", "file/a"):
        with pytest.raises(SaveError, match=r"cannot write `.*file"):
            make_folder(tmp_path / path)


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    for name in (".a.123.tmp", "a", ".keep", "b.tmp", ".notes.tmp", ".notes.1.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, ["a"])
    assert {file.name for file in tmp_path.iterdir()} == {"a", ".keep", "b.tmp", ".notes.tmp", ".notes.1.tmp"}
