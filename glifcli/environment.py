"""What a computation ran on: versions, machine, devices, backend. What a bug report needs."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from glifcli import __version__
from glifcli.device import DTYPES, choose_device, choose_precision
from glifcli.ops.backends import choose_backend, told
from glifcli.zoo import folder

PACKAGES = (
    "torch",
    "torchvision",
    "numba",
    "triton",
    "numpy",
    "safetensors",
    "scikit-learn",
    "typer",
    "rich",
)


def environment() -> dict[str, Any]:
    """Versions, machine, devices and what "auto" stands for here, ready for JSON."""
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    return {
        "glif": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "accelerators": accelerators(),
        "cuda": torch.version.cuda,
        "device": str(device),
        "precision": precision,
        "backend": choose_backend("auto", device, DTYPES[precision]),
        "backends": told(),
        "zoo": str(folder()),
        "command": sys.argv,
    }


def version(package: str) -> str | None:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of the checkout that runs, with `+` where files were changed; None in an installed package."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def accelerators() -> list[str]:
    """The name of each accelerator."""
    if not torch.accelerator.is_available():
        return []
    if torch.cuda.is_available():
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [str(torch.accelerator.current_accelerator())] * torch.accelerator.device_count()
