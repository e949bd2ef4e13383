"""What only a process of its own shows: signals, pipes, terminals, limits. Slow, so there are few."""

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glifcli.checkpoint import load
from glifcli.cli.app import run
from glifcli.training.run import Run
from tests.cli.conftest import SHORT, assert_error

GLIF = (sys.executable, "-m", "glifcli")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_that_then_goes_on(number: int) -> None:
    # The epoch is long enough that the signal, sent at the end of the first, comes before the end of the last.
    arguments = [*SHORT, "--epochs", "3", "--batch-size", "16", "--time-steps", "1", "--output", "run"]
    process = subprocess.Popen([*GLIF, "train", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 1/3"):
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert re.search(r"error: stopped after step \d+ of epoch [23], all saved in `run`\n", err)
    assert err.endswith("hint: `glif train --resume run` goes on\n")
    assert run(["train", "--resume", "run", "--quiet"]) == 0
    assert [line["epoch"] for line in Run(Path("run")).metrics()] == [1, 2, 3]
    assert json.loads(Path("run/report.json").read_text())["epochs"] == 3


def test_json_through_a_pipe() -> None:
    environment = os.environ | {"COLUMNS": "40"}
    done = subprocess.run([*GLIF, "list", "--json"], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["schema_version"] == 1


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"], ["--version"]])
def test_a_reader_that_has_gone(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*GLIF, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_is_told_where_nobody_reads_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*GLIF, "lst"], stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_answer_to_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*GLIF, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert_error(done.stderr)
    assert "cannot write to `stdout`: No space left on device" in done.stderr


def on_a_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """The exit code and all that a terminal gets."""
    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color"} | variables
    done = subprocess.run([*GLIF, *arguments], stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    seen = b""
    try:
        while part := os.read(terminal, 65536):
            seen += part
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(terminal)
    return done.returncode, seen.decode()


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.mark.parametrize("arguments", [["lst"], ["--help"]])
def test_no_color_is_kept_on_a_terminal(arguments: list[str]) -> None:
    code, coloured = on_a_terminal(*arguments)
    plain_code, plain = on_a_terminal(*arguments, NO_COLOR="1")
    assert code == plain_code
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)


def test_a_limit_on_the_size_of_files(finished_run: Path) -> None:
    # The trainer's state is larger than that, all that is written before it is smaller.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    done = subprocess.run(
        [*GLIF, "train", *SHORT, "--output", "run", "--quiet"], capture_output=True, text=True, preexec_fn=limit
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert_error(done.stderr)
    assert "cannot write `run/trainer.pt`: File too large" in done.stderr
    assert not list(Path("run").glob(".*"))
    assert run(["train", "--resume", "run", "--quiet"]) == 0
    assert load(Path("run/last.safetensors"))[1].made["epoch"] == 1
