"""A whole network: a training step and inference on each backend, and what of it is convolution."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glifcli.benchmark.operator import runnable
from glifcli.benchmark.peak import peak_mb
from glifcli.device import DTYPES, multiplies_bfloat16
from glifcli.memory import keep_freed
from glifcli.models.folding import folded
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import create_model
from glifcli.timing import alternating

CLASSES, CHANNELS, SIDE = 10, 3, 32


@dataclass(frozen=True)
class NetworkTime:
    """Milliseconds an image of a training step (forward and backward, no optimiser) and of inference.

    memory: "system" where freed memory goes back to the system, "kept" where the process keeps it.
    convolution_*_ms_per_image: what the same convolutions take on their own. peak_mb: of the training step, beyond
    weights and input. Speedups are against the first: the reference in float32, contiguous, unfolded, as any
    PyTorch program runs it.
    """

    model: str
    time_steps: int
    batch_size: int
    backend: str
    precision: str
    layout: str
    memory: str
    train_ms_per_image: float
    infer_ms_per_image: float
    convolution_train_ms_per_image: float
    convolution_infer_ms_per_image: float
    peak_mb: float | None
    train_speedup: float
    infer_speedup: float


@dataclass
class Contender:
    """A network set up one way."""

    backend: str
    precision: str
    layout: str
    memory: str
    network: SpikingNetwork
    images: Tensor
    labels: Tensor

    def infer(self) -> Callable[[], object]:
        """Inference on the batch, folded where the backend is fused."""
        network = self.network.eval() if self.backend == "reference" else folded(self.network)

        def run() -> Tensor:
            with torch.inference_mode(), self._autocast():
                logits: Tensor = network(self.images)
            return logits

        return run

    def train(self) -> Callable[[], object]:
        """Forward and backward of the batch; gradients are made anew."""

        def run() -> None:
            self.network.train()
            self.network.zero_grad(set_to_none=True)
            with self._autocast():
                logits = self.network.sequence(self.images)
            F.cross_entropy(logits.mean(0), self.labels).backward()

        return run

    def convolutions(self) -> "Convolutions":
        """The network's convolutions on their own."""
        return Convolutions(self.network, self.images, DTYPES[self.precision])

    def _autocast(self) -> torch.autocast:
        device = self.images.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")


class Convolutions:
    """Every convolution of a network once, on random input of the shape, dtype and layout that it gets."""

    def __init__(self, network: SpikingNetwork, images: Tensor, dtype: torch.dtype) -> None:
        self.calls: list[tuple[nn.Conv2d, Tensor, Tensor]] = []
        last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
        memory = torch.channels_last if last else torch.contiguous_format

        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            assert isinstance(module, nn.Conv2d)
            copy = nn.Conv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                bias=False,
            )
            copy = copy.to(images.device, dtype).to(memory_format=memory)
            # The image itself needs no gradient.
            first = not self.calls
            x = torch.randn(inputs[0].shape, device=images.device, dtype=dtype).contiguous(memory_format=memory)
            grad = torch.randn(output.shape, device=images.device, dtype=dtype).contiguous(memory_format=memory)
            self.calls.append((copy, x.requires_grad_(not first), grad))

        handles = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, nn.Conv2d)]
        with torch.inference_mode(False), torch.no_grad():
            network.eval()(images)
        for handle in handles:
            handle.remove()

    def forward(self) -> None:
        """All of them, forward."""
        with torch.no_grad():
            for conv, x, _ in self.calls:
                conv(x)

    def both(self) -> None:
        """All of them, forward and backward."""
        for conv, x, grad in self.calls:
            conv.weight.grad = x.grad = None
            conv(x).backward(grad)
            conv.weight.grad = x.grad = None


def measure_network(
    model: str, time_steps: int, batch_size: int, device: torch.device, repeats: int
) -> Iterator[NetworkTime]:
    """The reference as it is, then every backend in channels_last in the precisions that the hardware multiplies."""
    contenders = list(_contenders(model, time_steps, batch_size, device))
    trains = take_turns(contenders, [contender.train() for contender in contenders], repeats, device)
    infers = take_turns(contenders, [contender.infer() for contender in contenders], repeats, device)
    alone: dict[tuple[str, str], dict[str, float]] = {}
    for index, contender in enumerate(contenders):
        contender.network.zero_grad(set_to_none=True)
        gc.collect()
        keep_freed(contender.memory == "kept")
        peak = peak_mb(contender.train(), device)
        contender.network.zero_grad(set_to_none=True)
        kind = contender.precision, contender.layout
        if kind not in alone:
            convolutions = contender.convolutions()
            works = {"train": convolutions.both, "infer": convolutions.forward}
            alone[kind] = alternating(works, repeats, device)
            del convolutions, works
        scale = 1e3 / batch_size
        yield NetworkTime(
            model=model,
            time_steps=time_steps,
            batch_size=batch_size,
            backend=contender.backend,
            precision=contender.precision,
            layout=contender.layout,
            memory=contender.memory,
            train_ms_per_image=scale * trains[index],
            infer_ms_per_image=scale * infers[index],
            convolution_train_ms_per_image=scale * alone[kind]["train"],
            convolution_infer_ms_per_image=scale * alone[kind]["infer"],
            peak_mb=peak,
            train_speedup=trains[0] / trains[index],
            infer_speedup=infers[0] / infers[index],
        )


def take_turns(
    contenders: list[Contender], works: list[Callable[[], object]], repeats: int, device: torch.device
) -> list[float]:
    """The median seconds of each contender's work, each with its own way to hold memory."""

    kept_before = False

    def settle(name: str) -> None:
        nonlocal kept_before
        kept = contenders[int(name)].memory == "kept"
        if keep_freed(kept) and kept and not kept_before:
            # Nothing is kept yet: one run, unmeasured, leaves what the next one takes.
            works[int(name)]()
        kept_before = kept

    medians = alternating({str(n): work for n, work in enumerate(works)}, repeats, device, settle)
    return [medians[str(n)] for n in range(len(works))]


def _contenders(model: str, time_steps: int, batch_size: int, device: torch.device) -> Iterator[Contender]:
    precisions = ["fp32", *(["bf16"] if multiplies_bfloat16(device) else [])]
    setups = [("reference", "fp32", "contiguous", "system")]
    setups += [
        (backend, precision, "channels_last", "kept")
        for precision in precisions
        for backend in runnable(device, DTYPES[precision])
    ]
    torch.manual_seed(0)
    images = torch.randn(batch_size, CHANNELS, SIDE, SIDE, device=device)
    labels = torch.randint(CLASSES, (batch_size,), device=device)
    for backend, precision, layout, memory in setups:
        form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        network = create_model(
            model, classes=CLASSES, time_steps=time_steps, in_channels=CHANNELS, image_size=SIDE, backend=backend
        )
        network = network.to(device).to(memory_format=form)
        yield Contender(backend, precision, layout, memory, network, images.contiguous(memory_format=form), labels)
