"""What holds for every command: help, unknown names, error text, exit codes."""

import pytest
import typer

from glifcli.cli import app as program
from glifcli.cli.app import app
from glifcli.errors import GlifError
from tests.cli.conftest import Glif, assert_error

COMMANDS = sorted(typer.main.get_command(app).commands)


def test_there_are_commands() -> None:
    assert {"train", "eval", "inspect-gates", "list", "env"} <= set(COMMANDS)


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(glif: Glif, command: str, flag: str) -> None:
    code, out, err = glif(command, flag)
    assert (code, err) == (0, "")
    assert f"Usage: glif {command}" in out
    assert f"glif {command}" in out.partition("Options")[2]


def test_help_lists_the_commands(glif: Glif) -> None:
    code, out, err = glif("--help")
    assert (code, err) == (0, "")
    assert all(command in out for command in COMMANDS)


def test_no_arguments_show_the_help(glif: Glif) -> None:
    code, out, err = glif()
    assert (code, err) == (2, "")
    assert "Usage: glif" in out


def test_version(glif: Glif) -> None:
    import glifcli

    assert glif("--version") == (0, f"glif {glifcli.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["trian"], "no command `trian`", "did you mean `train`?"),
        (["zzzzzz"], "no command `zzzzzz`", "known: `bench`, `convert`, `env`"),
        (["train", "--epoks", "3"], "no option `--epoks`", "did you mean `--epochs`?"),
        (["list", "--zzzz"], "no option `--zzzz`", "`glif list --help`"),
        (["--zzzz"], "no option `--zzzz`", "`glif --help`"),
        (["eval"], "`--checkpoint` is missing", "`glif eval --checkpoint REF`"),
        (["train", "--seed", "x1"], "`--seed` is `x1`: it should be a valid integer", "`glif train --help`"),
        (["train", "--epochs"], "option `--epochs` requires an argument", "`glif train --help`"),
        (["train", "a", "b"], "one argument too many: `b`", "`glif train --help`"),
        (["eval", "--checkpoint", "x", "--min-accuracy", "2"], "`--min-accuracy` is `2`", "`glif eval --help`"),
    ],
)
def test_a_wrong_command_line(refused, arguments: list[str], error: str, hint: str) -> None:
    err = refused(*arguments)
    assert err.startswith(f"error: {error}")
    assert hint in err.splitlines()[-1]


def test_a_variable_is_blamed_by_its_name(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_SEED", "soon")
    assert "error: `GLIF_SEED` is `soon`: it should be a valid integer" in refused("train")


def fail(error: BaseException):
    def command(*_: object, **__: object) -> None:
        raise error

    return command


@pytest.mark.parametrize("debug", ["", "0", "1"])
def test_a_traceback_only_where_it_is_asked_for(glif: Glif, monkeypatch: pytest.MonkeyPatch, debug: str) -> None:
    monkeypatch.setenv("GLIF_DEBUG", debug)
    code, out, err = glif("eval", "--checkpoint", "nowhere")
    assert (code, out) == (2, "")
    assert ("Traceback (most recent call last)" in err) == (debug == "1")
    assert "error: no checkpoint `nowhere`" in err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            ZeroDivisionError("by zero"),
            2,
            "error: internal fault, ZeroDivisionError: by zero\nhint: run it again with `GLIF_DEBUG=1`",
        ),
        (
            PermissionError(13, "Permission denied", "/a/b"),
            2,
            "error: `/a/b`: Permission denied\nhint: check that path",
        ),
        (MemoryError("no more"), 2, "error: out of memory: no more\nhint: give a smaller `--batch-size`"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (GlifError("a", "b"), 2, "error: a\nhint: b\n"),
    ],
)
def test_every_error_becomes_text_and_a_code(
    glif: Glif, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    monkeypatch.setattr("glifcli.zoo.recipes", fail(error))
    result = glif("list")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(text)
    assert "Traceback" not in result.err


def test_square_brackets_are_not_markup(refused) -> None:
    assert "no checkpoint `[red]layers[0].weight`" in refused("inspect-gates", "[red]layers[0].weight")


def test_a_long_line_is_not_wrapped(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "a-" * 100
    assert f"error: no checkpoint `{name}`\n" in refused("inspect-gates", name)


def test_a_name_too_long_for_the_system(refused) -> None:
    assert "File name too long" in refused("inspect-gates", "x" * 300)


def test_one_place_makes_errors(glif: Glif) -> None:
    code, _, err = glif("lst")
    assert code == program.GlifError.exit_code
    assert_error(err)
