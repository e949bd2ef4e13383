"""The names of the data sets are known without torch."""

import subprocess
import sys

import pytest

import glifcli.data

HEAVY = ("torch", "torchvision", "sklearn", "numpy", "PIL")


def test_names_import_nothing_heavy() -> None:
    code = (
        "import sys; from glifcli.data.names import DATASETS; import glifcli.data;"
        f"assert glifcli.data.DATASETS == DATASETS; print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_data_imports_no_torchvision() -> None:
    code = (
        "import sys; from glifcli.data import load_dataset, train_batches;"
        "print([name for name in ('torchvision', 'sklearn', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    assert len(glifcli.data.__all__) > 5
    for name in glifcli.data.__all__:
        assert getattr(glifcli.data, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = glifcli.data.nothing
