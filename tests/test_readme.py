"""The README's commands run as they stand there, and its example in Python too."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from glifcli import zoo
from glifcli.cli.app import app, run
from glifcli.data.names import DATASETS
from glifcli.models.registry import MODELS
from glifcli.neurons.registry import NEURONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("glif ")
]
# These want images that a test does not have, or minutes; they are parsed and their recipe is looked up.
NEED_MORE = [c for c in COMMANDS if "cifar" in c or "--data-dir" in c or c.startswith("glif bench")]


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in README


def test_there_are_commands_of_both_kinds() -> None:
    assert len(COMMANDS) >= 8
    assert 0 < len(NEED_MORE) < len(COMMANDS)


def test_commands_that_need_nothing_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLIF_EPOCHS", "1")
    for command in COMMANDS:
        if command not in NEED_MORE:
            code = run(shlex.split(command, comments=True)[1:])
            assert code == 0, (command, capsys.readouterr().err)


@pytest.mark.parametrize("command", NEED_MORE)
def test_commands_that_need_more_are_understood(command: str) -> None:
    _, name, *arguments = shlex.split(command, comments=True)
    group = typer.main.get_command(app)
    context = group.commands[name].make_context(name, arguments)  # type: ignore[attr-defined]
    if name == "train" and context.params["recipe"]:
        zoo.find_recipe(context.params["recipe"])


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [block for language, block in BLOCKS if language == "python"]
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def test_its_toml_is_a_recipe() -> None:
    from glifcli import recipe

    examples = [block for language, block in BLOCKS if language == "toml"]
    assert examples
    for example in examples:
        recipe.check(tomllib.loads(example), "README.md")


def test_it_names_every_recipe_model_neuron_and_data_set() -> None:
    for name in [*zoo.recipes(), *MODELS, *NEURONS, *DATASETS]:
        assert f"`{name}`" in README, name


def test_ci_runs_the_tests_as_it_says() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install -e '.[dev]'" in README
    assert "install --quiet -e '.[dev]'" in ci
    assert "pytest" in ci
