"""What a training run tells while it goes on; `cli` draws it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Started:
    """The run is set up; `epoch` and `step` are what is done already, above 0 where it was resumed.

    compile_missing: torch.compile was asked for, and its compiler is not there.
    """

    run_dir: Path
    parameters: int
    images: int
    epochs: int
    steps_per_epoch: int
    epoch: int
    step: int
    device: str
    precision: str
    backend: str
    compiled: bool
    compile_missing: bool


@dataclass(frozen=True)
class Step:
    """A step is done: `step` of the epoch, counted from 1; the loss of its batch."""

    epoch: int
    step: int
    loss: float
    lr: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done and saved; `metrics` is its line of metrics.jsonl."""

    metrics: dict[str, Any]


@dataclass(frozen=True)
class Stopped:
    """The run was asked to stop, has finished its step and is saved."""

    epoch: int
    step: int


Event = Started | Step | EpochDone | Stopped
