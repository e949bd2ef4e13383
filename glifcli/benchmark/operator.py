"""The operator on its own: currents in, spikes out, and the gradients back."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.benchmark.peak import peak_mb
from glifcli.benchmark.peers import peer_layers
from glifcli.errors import ModelError
from glifcli.neurons.glif import GLIF
from glifcli.ops import BACKENDS, choose_backend
from glifcli.timing import alternating


@dataclass(frozen=True)
class Case:
    """A layer: shape [T, B, C, *space]; layout: contiguous or channels_last."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: str


@dataclass(frozen=True)
class OperatorTime:
    """Milliseconds of one layer; speedup: of forward and backward, against the reference.

    copy_ratio: time of forward and backward over that of moving its bytes once at the copy rate: the currents read
    twice, the spikes and the gradient in written, the gradient out read.
    """

    shape: tuple[int, ...]
    dtype: str
    layout: str
    backend: str
    forward_ms: float
    forward_backward_ms: float
    peak_mb: float | None
    speedup: float
    copy_ratio: float


def default_cases(device: torch.device) -> tuple[Case, ...]:
    """What a benchmark runs unless told otherwise: the first is the one to compare by."""
    if device.type != "cpu":
        large = (4, 256, 128, 32, 32)
        return (
            Case(large, torch.bfloat16, "channels_last"),
            Case(large, torch.bfloat16, "contiguous"),
            Case(large, torch.float32, "channels_last"),
            Case((4, 256, 512, 4, 4), torch.bfloat16, "channels_last"),
            Case((4, 1024, 2048), torch.float32, "contiguous"),
        )
    layer = (16, 128, 32, 32)
    return (
        Case((4, *layer), torch.float32, "contiguous"),
        Case((4, *layer), torch.float32, "channels_last"),
        Case((4, *layer), torch.bfloat16, "channels_last"),
        *(Case((steps, *layer), torch.float32, "contiguous") for steps in (2, 6, 16)),
        Case((4, 256, 512, 4, 4), torch.float32, "contiguous"),
        Case((4, 256, 512, 4, 4), torch.float32, "channels_last"),
        Case((4, 64, 2048), torch.float32, "contiguous"),
    )


def measure_operator(
    cases: tuple[Case, ...], device: torch.device, repeats: int, copy_gb_s: float, peer: str | None = None
) -> Iterator[OperatorTime]:
    """Each case on each backend that can run it, and on the peer's layers, which take float32 only."""
    for case in cases:
        yield from _measure(case, device, repeats, copy_gb_s, peer)


def _measure(
    case: Case, device: torch.device, repeats: int, copy_gb_s: float, peer: str | None
) -> Iterator[OperatorTime]:
    steps, _, channels, *_ = case.shape
    torch.manual_seed(0)
    x = laid_out(torch.randn(case.shape, device=device, dtype=case.dtype), case.layout).requires_grad_()
    grad = laid_out(torch.randn(case.shape, device=device, dtype=case.dtype), case.layout)
    layers: dict[str, Callable[[Tensor], Tensor]] = {
        name: GLIF(channels, steps, backend=name).to(device) for name in runnable(device, case.dtype)
    }
    if peer is not None and case.dtype == torch.float32:
        layers |= {name: make(channels, steps, device) for name, make in peer_layers(peer).items()}

    def forward(layer: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def run() -> Tensor:
            with torch.no_grad():
                return layer(x)

        return run

    def both(layer: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def run() -> None:
            x.grad = None
            layer(x).backward(grad)

        return run

    forwards = alternating({name: forward(layer) for name, layer in layers.items()}, repeats, device)
    boths = alternating({name: both(layer) for name, layer in layers.items()}, repeats, device)
    x.grad = None
    moved = 5 * math.prod(case.shape) * case.dtype.itemsize / copy_gb_s / 1e9
    for name, layer in layers.items():
        yield OperatorTime(
            shape=case.shape,
            dtype=str(case.dtype).removeprefix("torch."),
            layout=case.layout,
            backend=name,
            forward_ms=1e3 * forwards[name],
            forward_backward_ms=1e3 * boths[name],
            peak_mb=peak_mb(both(layer), device),
            speedup=boths["reference"] / boths[name],
            copy_ratio=boths[name] / moved,
        )
        x.grad = None


def laid_out(x: Tensor, layout: str) -> Tensor:
    """x [T, B, C, *space] in that layout."""
    if layout == "contiguous" or x.dim() == 3:
        return x
    back = (0, 1, x.dim() - 1, *range(2, x.dim() - 1))
    return x.permute(0, 1, *range(3, x.dim()), 2).contiguous().permute(back)


def runnable(device: torch.device, dtype: torch.dtype) -> list[str]:
    """The backends that can run on that device in that dtype, the reference first."""
    names = []
    for name in BACKENDS:
        try:
            names.append(choose_backend(name, device, dtype))
        except ModelError:
            continue
    return names
