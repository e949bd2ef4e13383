"""The training loop: resumable at any step, with every step's randomness a function of seed, epoch and step."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from glifcli.checkpoint import Metadata, save
from glifcli.data import Dataset, Split, eval_batches, steps_per_epoch, train_batches
from glifcli.device import DTYPES, can_compile, choose_device, choose_precision, deterministic
from glifcli.errors import AnswerNo, CheckpointError
from glifcli.files import remove_leftovers
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import ModelConfig, from_config
from glifcli.ops import choose_backend
from glifcli.recipe import Recipe
from glifcli.reports.evaluation import Evaluation, evaluate
from glifcli.reports.subject import BATCH_SIZE
from glifcli.training.average import make_average
from glifcli.training.events import EpochDone, Event, Started, Step, Stopped
from glifcli.training.losses import loss_of
from glifcli.training.optimiser import lr_scale, make_optimiser, rates, set_rates
from glifcli.training.records import metadata_of, metrics_line
from glifcli.training.run import FILES, TRAINER, Run, first_line

# Without a validation split, firing rates are read from this many training images.
MONITOR_IMAGES = 512
EMPTY_TOTALS = {"loss": 0.0, "correct": 0, "seen": 0, "seconds": 0.0}


def fit(trainer: "Trainer", *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Trains from where the run's state is, from the beginning where it has none.

    Ends after the recipe's epochs, or with Stopped once `stop()` is true. Raises AnswerNo for a loss or a gradient
    that is not finite, SaveError where a file cannot be written, CheckpointError
    for a state that cannot be taken up.
    """
    with deterministic(trainer.recipe.train.deterministic):
        state = trainer.run.load_state()
        if state is None and trainer.run.last.is_file():
            raise CheckpointError(
                f"`{trainer.run.path}` holds a model but no `{TRAINER}`, so that its training cannot go on",
                "restore that file, or begin a new run with another `--output`",
            )
        if state is not None:
            trainer.restore(state)
        remove_leftovers(trainer.run.path, FILES)
        yield trainer.started()
        yield from trainer.train(stop)


class StopRequestedError(Exception):
    """Leaves an evaluation when the run is asked to stop; never leaves this module."""


class Trainer:
    """A run in progress: model, optimiser and how far it is. Made without touching a file.

    Raises GlifError for settings that do not fit the device, the images or each other.
    """

    def __init__(self, run: Run, recipe: Recipe, dataset: Dataset) -> None:
        self.run, self.recipe, self.dataset = run, recipe, dataset
        dataset.check_time_steps(recipe.model.time_steps)
        self.device = choose_device(recipe.train.device)
        self.precision = choose_precision(recipe.train.precision, self.device)
        self.dtype = DTYPES[self.precision]
        backend = recipe.train.backend
        # What torch.compile reads is plain PyTorch; see `choose_backend`.
        self.compiled = recipe.train.compile and can_compile(self.device)
        backend = "reference" if backend == "auto" and self.compiled else backend
        self.backend = choose_backend(backend, self.device, self.dtype)
        torch.manual_seed(recipe.train.seed)
        self.model = (
            build(recipe, len(dataset.classes), dataset.channels, dataset.image_size)
            .to(self.device)
            .to(memory_format=torch.channels_last)
        )
        if self.dtype == torch.float64:
            self.model.double()
        self.sequence = torch.compile(self.model.sequence) if self.compiled else self.model.sequence
        self.optimiser = make_optimiser(self.model, recipe.optim)
        self.average = make_average(self.model, recipe.train.ema) if recipe.train.ema else None
        self.split = dataset.splits["train"]
        self.steps = steps_per_epoch(len(self.split), recipe.data.batch_size)
        self.epoch, self.step = 0, 0
        self.totals: dict[str, Any] = dict(EMPTY_TOTALS)
        self.best: dict[str, Any] | None = None
        self.lines: list[dict[str, Any]] = []
        self.saved_at = time.monotonic()
        self.batches(step=self.steps)  # says now what of the augmentation does not fit

    def started(self) -> Started:
        """How the run is set up."""
        return Started(
            run_dir=self.run.path,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            images=len(self.split),
            epochs=self.recipe.train.epochs,
            steps_per_epoch=self.steps,
            epoch=self.epoch,
            step=self.step,
            device=str(self.device),
            precision=self.precision,
            backend=self.backend,
            compiled=self.compiled,
            compile_missing=self.recipe.train.compile and not self.compiled,
        )

    def train(self, stop: Callable[[], bool]) -> Iterator[Event]:
        """Goes on to the end of the last epoch, or until `stop()` is true."""
        while self.epoch < self.recipe.train.epochs:
            for event in self.train_epoch():
                yield event
                if stop():
                    break
            try:
                if stop():
                    raise StopRequestedError
                line = self.finish_epoch(stop)
            except StopRequestedError:
                self.save()
                save(self.run.last, self.weights(), self.metadata())
                yield Stopped(self.epoch, self.step)
                return
            yield EpochDone(line)

    def batches(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The epoch's batches from `step` on."""
        return train_batches(
            self.split,
            self.dataset.normalisation,
            len(self.dataset.classes),
            self.recipe.data,
            self.recipe.augment,
            seed=self.recipe.train.seed,
            epoch=self.epoch,
            device=self.device,
            start_step=step,
        )

    def train_epoch(self) -> Iterator[Event]:
        """The steps of the epoch that are not done yet."""
        began = time.perf_counter()
        for images, targets in self.batches(self.step):
            loss = self.train_step(images, targets)
            now = time.perf_counter()
            self.totals["seconds"] += now - began
            began = now
            self.step += 1
            if time.monotonic() - self.saved_at > 60 * self.recipe.train.save_minutes:
                self.save()
            yield Step(self.epoch + 1, self.step, loss, self.optimiser.param_groups[0]["lr"])

    def train_step(self, images: Tensor, targets: Tensor) -> float:
        """One step of the optimiser; the loss of its batch. Raises AnswerNo where it or a gradient is not finite."""
        recipe = self.recipe
        step = self.epoch * self.steps + self.step
        warmup = recipe.optim.warmup_epochs * self.steps
        set_rates(self.optimiser, lr_scale(step, recipe.train.epochs * self.steps, warmup, recipe.optim))
        images = images.to(self.device, non_blocking=True)
        if images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        targets = targets.to(self.device, non_blocking=True)
        if self.dtype == torch.float64:
            images = images.double()
            targets = targets.double() if targets.is_floating_point() else targets
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            logits = self.sequence(images)
        loss = loss_of(logits, targets, recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
        labels = targets.argmax(1) if targets.is_floating_point() else targets
        right = (logits.detach().mean(0).argmax(1) == labels).sum()
        # One wait for the device a step. A NaN inside the network makes no spike, so that the loss stays finite: the
        # gradients tell.
        value, size, correct = torch.stack([loss.detach(), norm.to(loss.dtype), right.to(loss.dtype)]).tolist()
        if not (math.isfinite(value) and math.isfinite(size)):
            raise self.diverged(f"the loss is `{value}` and the gradient's norm `{size}`")
        if recipe.optim.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), recipe.optim.clip_norm, norm)
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.totals["loss"] += value * len(images)
        self.totals["correct"] += int(correct)
        self.totals["seen"] += len(images)
        return value

    def finish_epoch(self, stop: Callable[[], bool]) -> dict[str, Any]:
        """Evaluates, writes the epoch's line of metrics, saves. Raises StopRequestedError, with nothing changed."""
        self.check_weights()
        validation = self.dataset.splits.get("validation")
        evaluation = self.evaluate(validation or self.split.take(MONITOR_IMAGES), stop)
        line = metrics_line(
            self.judged(),
            evaluation,
            self.totals,
            rates(self.optimiser),
            epoch=self.epoch + 1,
            step=(self.epoch + 1) * self.steps,
            validated=validation is not None,
        )
        self.lines.append(line)
        self.epoch, self.step, self.totals = self.epoch + 1, 0, dict(EMPTY_TOTALS)
        # Of equals the later: it was trained for longer, at a lower rate.
        if validation is not None and (self.best is None or evaluation.top1 >= self.best["top1"]):
            self.best = {"epoch": self.epoch, "top1": evaluation.top1}
        self.run.write_metrics(self.lines)
        self.save()
        self.save_models()
        return line

    def evaluate(self, split: Split, stop: Callable[[], bool]) -> Evaluation:
        """Accuracy, loss and firing rates on a split. Raises StopRequestedError."""

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for batch in eval_batches(split, self.dataset.normalisation, max(self.recipe.data.batch_size, BATCH_SIZE)):
                if stop():
                    raise StopRequestedError
                yield batch

        return evaluate(self.judged(), batches(), device=self.device, dtype=self.dtype, operations=False)

    def judged(self) -> SpikingNetwork:
        """The model that is evaluated and saved: the average where there is one."""
        averaged = self.model if self.average is None else self.average.module
        assert isinstance(averaged, SpikingNetwork)
        return averaged

    def weights(self) -> dict[str, Tensor]:
        """What a model file holds, in float32."""
        state = self.judged().state_dict()
        return {name: value.float() if value.dtype == torch.float64 else value for name, value in state.items()}

    def metadata(self) -> Metadata:
        """What the model files say of the model."""
        return metadata_of(self.recipe, self.dataset, precision=self.precision, epoch=self.epoch, step=self.step)

    def save(self) -> None:
        """Replaces the trainer's state, all that going on needs; the model files follow from it.

        Raises AnswerNo, with the state before still there, for weights that are not finite.
        """
        self.check_weights()
        self.run.save_state(
            {
                "model": self.model.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "totals": self.totals,
                "best": self.best,
                "random": torch.get_rng_state(),
            }
        )
        self.saved_at = time.monotonic()

    def save_models(self) -> None:
        """Writes the model files that an epoch's end leaves."""
        save(self.run.last, self.weights(), self.metadata())
        if self.best is not None and self.best["epoch"] == self.epoch:
            save(self.run.best, self.weights(), self.metadata())

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up a saved state, and does again what a kill after its save may have left undone."""
        try:
            self.model.load_state_dict(state["model"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.epoch, self.step, self.totals = state["epoch"], state["step"], state["totals"]
            self.best = state["best"]
            torch.set_rng_state(state["random"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"the trainer's state in `{self.run.path}` does not fit its recipe: {first_line(error)}",
                "restore the recipe that the run was begun with, or begin a new run",
            ) from None
        self.lines = [line for line in self.run.metrics() if line["epoch"] <= self.epoch]
        if len(self.lines) != self.epoch:
            raise CheckpointError(
                f"the metrics in `{self.run.path}` cover {len(self.lines)} epochs, its state {self.epoch}",
                "restore `metrics.jsonl`, or begin a new run with another `--output`",
            )
        self.run.write_metrics(self.lines)
        if self.epoch and not self.step:
            self.save_models()

    def check_weights(self) -> None:
        """Raises AnswerNo for weights or running statistics that are not finite."""
        bad = next((name for name, value in self.model.state_dict().items() if not value.isfinite().all()), None)
        if bad is not None:
            raise self.diverged(f"`{bad}` is not finite")

    def diverged(self, what: str) -> AnswerNo:
        """What to tell of a number that is not finite."""
        where = f"{what} at step {min(self.step + 1, self.steps)} of epoch {self.epoch + 1}"
        rate = self.optimiser.param_groups[0]["lr"]
        good = f"the last good checkpoint is `{self.run.last}`" if self.run.last.is_file() else "no checkpoint yet"
        return AnswerNo(
            f"{where}, at a learning rate of {rate:.3g}; {good}",
            f"train with a lower rate, `--set optim.lr={self.recipe.optim.lr / 10:.3g}`, or with "
            "`--set optim.clip_norm=1.0`",
        )


def build(recipe: Recipe, classes: int, channels: int, image_size: tuple[int, int]) -> SpikingNetwork:
    """The network of the recipe for images of that many classes and channels, of that height and width."""
    config = ModelConfig(
        name=recipe.model.name,
        classes=classes,
        time_steps=recipe.model.time_steps,
        in_channels=channels,
        width=recipe.model.width,
        neuron=recipe.neuron,
        image_size=image_size,
    )
    return from_config(config, recipe.train.backend)
