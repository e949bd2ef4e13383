"""Which backend is chosen, and that nothing that is missing or read-only stops one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glifcli.errors import ModelError
from glifcli.ops import backends, check_backend, choose_backend
from glifcli.ops.backends import BACKENDS


@pytest.fixture(autouse=True)
def forget() -> None:
    backends.load.cache_clear()


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.float32, "numba"),
        ("cpu", torch.bfloat16, "numba"),
        ("cpu", torch.float64, "reference"),
        ("cpu", torch.float16, "reference"),
        ("mps", torch.float32, "reference"),
    ],
)
def test_auto(device: str, dtype: torch.dtype, expected: str) -> None:
    assert choose_backend("auto", device, dtype) == expected


def test_auto_without_numba_is_the_reference_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in [name for name in sys.modules if name.startswith("glifcli.ops.cpu")]:
        monkeypatch.delitem(sys.modules, name)
    try:
        assert choose_backend("auto") == "reference"
        kernels, why = backends.load("numba")
        assert kernels is None
        assert "numba" in why
        with pytest.raises(ModelError, match="cannot run here") as raised:
            choose_backend("numba")
        assert "pip install numba" in raised.value.hint
    finally:
        backends.load.cache_clear()


@pytest.mark.parametrize("name", ["numbat", "Reference", "cuda", ""])
def test_an_unknown_name(name: str) -> None:
    for check in (check_backend, choose_backend):
        with pytest.raises(ModelError, match=f"no backend `{name}`") as raised:
            check(name)
        assert "`" in raised.value.hint


def test_a_backend_on_another_device_or_dtype() -> None:
    with pytest.raises(ModelError, match="runs on `cpu`, not on `cuda`"):
        choose_backend("numba", "cuda")
    with pytest.raises(ModelError, match="no `float64`, only `float32` and `bfloat16`"):
        choose_backend("numba", "cpu", torch.float64)
    with pytest.raises(ModelError, match="runs on `cuda`, not on `cpu`"):
        choose_backend("triton", "cpu")


def test_a_traced_graph_is_plain_pytorch() -> None:
    from glifcli import GLIF

    neuron = GLIF(4, 2)
    graph = torch.export.export(neuron, (torch.randn(2, 3, 4, 5, 5),))
    x = torch.randn(2, 3, 4, 5, 5)
    assert torch.equal(graph.module()(x), neuron(x))


def test_there_is_a_reference() -> None:
    assert BACKENDS[0] == "reference"
    assert choose_backend("reference", "cuda", torch.float64) == "reference"


# A process of its own, as what Numba keeps and where is settled when it is imported.
SCRIPT = """
import torch
from glifcli import GLIF
from glifcli.ops.backends import load
neuron, x = GLIF(16, 2), torch.randn(2, 4, 16)
spikes = neuron(x)
neuron.backend = "reference"
assert torch.equal(spikes, neuron(x))
print(load("numba")[0].told())
"""


def spikes_in_a_process(folder: Path, **variables: str) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    # Numba would go on to other folders, which may be written here.
    told = spikes_in_a_process(tmp_path / "file" / "folder", NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator")
    assert "not kept" in told


def test_kernels_are_kept_and_damaged_ones_stop_nothing(tmp_path: Path) -> None:
    told = spikes_in_a_process(tmp_path)
    assert str(tmp_path) in told
    kept = list(tmp_path.rglob("*.nbc"))
    assert kept
    for path in [*kept, *tmp_path.rglob("*.nbi")]:
        path.write_bytes(b"damaged")
    assert "not kept" in spikes_in_a_process(tmp_path)


THREADS = """
import torch
torch.set_num_threads(1)
from glifcli import GLIF
GLIF(16, 2, backend="numba")(torch.randn(2, 4, 16))
assert torch.get_num_threads() == 1, torch.get_num_threads()
"""

FORK = """
import os, torch
from glifcli import GLIF
neuron, x = GLIF(16, 2), torch.randn(2, 4, 16)
spikes = neuron(x)
assert neuron.chosen_backend(x) == "numba"
child = os.fork()
if child == 0:
    assert neuron.chosen_backend(x) == "reference"
    os._exit(0 if torch.equal(neuron(x), spikes) else 1)
assert os.waitpid(child, 0)[1] == 0
"""

BROKEN = """
import torch
from glifcli import GLIF
from glifcli.ops.backends import told
assert GLIF(16, 2).chosen_backend(torch.randn(2, 4, 16)) == "reference"
assert told()["numba"].startswith("cannot run: "), told()
"""


@pytest.mark.parametrize(
    ("script", "variables"),
    [
        pytest.param(THREADS, {}, id="threads"),
        pytest.param(FORK, {}, id="fork", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")),
        pytest.param(BROKEN, {"NUMBA_DISABLE_JIT": "1"}, id="no compiler"),
    ],
)
def test_in_a_process_of_its_own(script: str, variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True, text=True, env=os.environ | variables, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
