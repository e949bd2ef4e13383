"""The help comes without torch: it is what makes `glif --help` quick."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "numpy", "safetensors", "PIL", "huggingface_hub")

# Each step in the same process: what is not imported after the last was not imported after any.
STEPS = f"""
import contextlib, io, json, sys
seen = []
def look(step):
    seen.append([step, sorted(set({HEAVY!r}) & set(sys.modules))])
import glifcli
look("import glifcli")
import typer
from glifcli.cli.app import app, run
look("import glifcli.cli.app")
for arguments in ([], *([command] for command in typer.main.get_command(app).commands)):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run([*arguments, "--help"]) == 0
    assert "Usage: glif" in out.getvalue()
    look(" ".join(["glif", *arguments, "--help"]))
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    run(["--version"]), run(["trian"]), run(["train", "--epoks", "3"]), run([])
look("glif --version and wrong commands")
glifcli.create_model
seen.append(["control", sorted(set({HEAVY!r}) & set(sys.modules))])
print(json.dumps(seen))
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], cwd=ROOT, capture_output=True, text=True, check=True)
    *steps, (control, heavy) = json.loads(done.stdout)
    assert len(steps) >= 8
    assert {step: found for step, found in steps if found} == {}
    # The look itself works: building a model does import torch.
    assert control == "control"
    assert "torch" in heavy


def test_the_module_run_as_a_program_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "glifcli", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "glifcli" in modules
    assert not modules & set(HEAVY)
