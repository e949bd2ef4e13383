"""The CUDA kernels: run on the CPU by Triton's interpreter, compiled for a GPU without one, and run on one if there.

Whether a kernel is interpreted is decided as its module is imported, so a process of its own does it.
"""

import multiprocessing
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from glifcli.errors import ModelError
from glifcli.ops import SURROGATES, Constants, choose_backend, glif_sequence
from tests.ops.cuda_checks import (
    Case,
    check_add_affine,
    check_edges,
    check_empty_moments,
    check_moments,
    check_recurrence,
    check_sums_repeat,
)

triton = pytest.importorskip("triton", reason="Triton has wheels for Linux alone")

F16, BF16, F32 = torch.float16, torch.bfloat16, torch.float32
Run = Callable[..., None]


@pytest.fixture(scope="module")
def interpreted() -> Iterator[Run]:
    """Runs a check in a process where kernels are interpreted."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            pool.submit(int).result()
        yield lambda check, *given: pool.submit(check, *given).result()


SPACES = [(), (1,), (7, 5)]
CASES = {
    **{f"{steps} steps": Case(steps, (2, 3, 5, 3), keep=steps % 2 == 0) for steps in (*range(1, 10), 20)},
    **{
        f"{channels} channels, space {space}, {'channels' if last else 'space'} innermost": Case(
            3, (2, channels, *space), channels_last=last
        )
        for channels in (1, 3, 129)
        for space in SPACES
        for last in (False, True)
    },
    **{f"{name}": Case(3, (4, 6, 5), surrogate=name) for name in SURROGATES},
    **{
        f"{dtype}, {'channels' if last else 'space'} innermost".removeprefix("torch."): Case(
            4, (2, 32, 4, 4), channels_last=last, dtype=dtype, branches=2, state=True, keep=True
        )
        for dtype in (F16, BF16)
        for last in (False, True)
    },
    "a state in": Case(3, (2, 5, 6), state=True),
    "a state in and out": Case(3, (2, 5, 6), state=True, keep=True),
    "a state through pieces": Case(17, (2, 5, 6), state=True, keep=True),
    "two branches": Case(4, (2, 5, 6), branches=2),
    "two branches through pieces": Case(11, (2, 5, 6), branches=2, channels_last=True),
    "repeats": Case(4, (2, 5, 6), repeats=True),
    "repeats in half the width": Case(12, (2, 5, 6), repeats=True, dtype=BF16),
    "repeats through pieces, two branches": Case(12, (2, 5, 6), repeats=True, branches=2, state=True, keep=True),
    "timed": Case(4, (2, 5, 6), timed=True),
    "timed through pieces, two branches": Case(10, (2, 5, 6), timed=True, branches=2, state=True, keep=True),
    "no batch": Case(4, (0, 3, 5), state=True, keep=True),
    "no space": Case(4, (2, 3, 0)),
    "several programs over channels": Case(2, (2, 160, 8, 8), channels_last=True),
    "several programs over space": Case(2, (12, 3, 17, 9), branches=2),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_spikes_are_the_references_and_gradients_close(interpreted: Run, case: Case) -> None:
    interpreted(check_recurrence, case)


def test_what_is_on_the_edge_is_outside(interpreted: Run) -> None:
    interpreted(check_edges)


def test_sums_are_the_same_each_time(interpreted: Run) -> None:
    interpreted(check_sums_repeat)


@pytest.mark.parametrize(
    "given",
    [
        ((2, 3, 5), False, F32, 0.0),
        ((1, 4, 3, 7, 5), False, F32, 1000.0),
        ((1, 4, 3, 7, 5), True, F32, 1000.0),
        ((2, 40, 129, 5), True, F32, -3.0),
        ((2, 40, 5, 129), False, F32, -3.0),
        ((2, 8, 16, 8, 8), True, BF16, 5.0),
        ((2, 8, 16, 8, 8), False, F16, 5.0),
    ],
    ids=str,
)
def test_moments(interpreted: Run, given: tuple[Any, ...]) -> None:
    interpreted(check_moments, *given)


def test_moments_of_nothing(interpreted: Run) -> None:
    interpreted(check_empty_moments)


@pytest.mark.parametrize("dtype", [F16, BF16, F32])
@pytest.mark.parametrize("of_y", ["channels", "space", "sparse"])
@pytest.mark.parametrize("of_grad", ["channels", "space", "sparse"])
def test_add_affine(interpreted: Run, dtype: torch.dtype, of_grad: str, of_y: str) -> None:
    interpreted(check_add_affine, (3, 2, 70, 9), of_grad, of_y, dtype)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 0, 3, 4)])
def test_add_affine_without_space_or_batch(interpreted: Run, shape: tuple[int, ...]) -> None:
    interpreted(check_add_affine, shape, "space", "space", F32)


class Recorder:
    """Stands in for a kernel and keeps what it was launched with."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.launches: list[tuple[Any, ...]] = []

    def __getitem__(self, programs: tuple[int, int]) -> Callable[..., None]:
        return lambda *given, **form: self.launches.append((programs, given, form))

    def compiled(self) -> list[str]:
        """The PTX of every launch, compiled for a GPU of compute capability 9.0 as Triton would there."""
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        found = []
        for _, given, form in self.launches:
            options = {name: form.pop(name) for name in ("num_warps", "enable_fp_fusion")}
            named = dict(zip(self.kernel.arg_names, given, strict=False)) | form
            signature, constants, divisible = {}, {}, {}
            for place, param in enumerate(self.kernel.params):
                value = named[param.name]
                known = isinstance(value, int) and value == 1 and not param.do_not_specialize
                if param.name in form or value is None or known:
                    signature[param.name], constants[(place,)] = "constexpr", value
                    continue
                signature[param.name] = kind_of(value)
                if isinstance(value, torch.Tensor) or (value % 16 == 0 and not param.do_not_specialize):
                    divisible[(place,)] = [["tt.divisibility", 16]]
            source = ASTSource(self.kernel, signature, constants, divisible)
            built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
            assert built.asm["cubin"]
            found.append(built.asm["ptx"])
        return found


def kind_of(value: torch.Tensor | int) -> str:
    """The type of a kernel's argument, as Triton writes it."""
    if isinstance(value, torch.Tensor):
        return {F32: "*fp32", BF16: "*bf16", F16: "*fp16"}[value.dtype]
    return "i32" if value < 2**31 else "i64"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Recorder]:
    """Stand-ins for all kernels, by name."""
    from glifcli.ops.cuda import kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    recorders = {name: Recorder(getattr(kernels, name)) for name in ("forward", "backward", "moments", "add_affine")}
    for name, recorder in recorders.items():
        monkeypatch.setattr(kernels, name, recorder)
    return recorders


@pytest.mark.parametrize(
    "case",
    [
        Case(4, (256, 128, 32, 32), channels_last=True, dtype=BF16),
        Case(
            2,
            (64, 64, 32, 32),
            dtype=F16,
            branches=2,
            repeats=True,
            timed=True,
            state=True,
            keep=True,
            surrogate="sigmoid",
        ),
        Case(9, (2, 3, 5), branches=2, surrogate="triangle"),
        Case(1, (2**21, 2048), surrogate="arctan"),
    ],
    ids=["large", "carried, repeated, timed", "in pieces", "more than 2^31 elements"],
)
def test_the_recurrence_compiles_for_a_gpu(recorded: dict[str, Recorder], case: Case) -> None:
    from glifcli.ops.cuda import backend

    with torch.device("meta"):
        y = torch.empty(1 if case.repeats else case.steps, *case.shape, dtype=case.dtype)
        ys = [y.movedim(2, -1).contiguous().movedim(-1, 2) if case.channels_last else y] * case.branches
        drive = torch.empty(1 + case.branches, case.steps, case.shape[1])
        steady = torch.empty(4, case.steps if case.timed else 1, case.shape[1])
        state = (torch.empty(case.shape), torch.empty(case.shape)) if case.state else None
        spikes, end, kept = backend.forward(ys, drive, steady, state, keep=case.keep, grad=True)
        backend.backward(ys, drive, steady, kept, torch.empty_like(spikes), end, case.surrogate)
    forward, backward = (recorded[name].compiled() for name in ("forward", "backward"))
    assert len(forward) == len(backward) == -(-case.steps // 8)
    # A product and a sum fused round once where the reference rounds twice.
    assert not [ptx for ptx in forward if "fma." in ptx]
    if case.dtype == BF16:
        assert all(re.search(r"ld\.global\.v[24]", ptx) for ptx in forward + backward), "loads of one element each"


@pytest.mark.parametrize("channels_last", [False, True])
def test_moments_and_affine_compile_for_a_gpu(recorded: dict[str, Recorder], channels_last: bool) -> None:
    from glifcli.ops.cuda import backend

    with torch.device("meta"):
        y = torch.empty(4, 32, 64, 16, 16, dtype=BF16)
        y = y.movedim(2, -1).contiguous().movedim(-1, 2) if channels_last else y
        backend.moments(y)
        backend.add_affine(y, y, torch.empty(64), torch.empty(64))
    for name in ("moments", "add_affine"):
        (ptx,) = recorded[name].compiled()
        assert re.search(r"ld\.global\.v4", ptx), "loads of less than 16 bytes"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(ModelError, match="cannot run here: no CUDA device"):
        choose_backend("triton", "cuda")


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@gpu
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_on_a_gpu_small(case: Case) -> None:
    check_recurrence(case, "cuda")


@gpu
@pytest.mark.parametrize("dtype", [F16, BF16, F32])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(64, 128, 32, 32), (64, 512, 4, 4), (256, 1000)])
def test_on_a_gpu_large(shape: tuple[int, ...], channels_last: bool, dtype: torch.dtype) -> None:
    check_recurrence(Case(4, shape, channels_last and len(shape) > 2, dtype), "cuda")
    check_recurrence(Case(2, shape, channels_last and len(shape) > 2, dtype, branches=2, keep=True), "cuda")


@gpu
@pytest.mark.parametrize("dtype", [F16, BF16, F32])
def test_on_a_gpu_moments_and_affine(dtype: torch.dtype) -> None:
    for channels_last in (False, True):
        check_moments((4, 32, 96, 28, 28), channels_last, dtype, 3.0, "cuda")
        check_add_affine((4, 32, 96, 28, 28), "channels" if channels_last else "space", "space", dtype, "cuda")
    check_sums_repeat("cuda")


@gpu
def test_on_a_gpu_it_is_what_auto_takes_and_agrees() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 8, 16, 14, 14, device="cuda")
    k = Constants(*(0.1 + 0.8 * torch.rand(6, 16, device="cuda") for _ in range(6)))
    assert choose_backend("auto", "cuda") == "triton"
    wanted, end = glif_sequence(x, k, backend="reference")
    first, state = glif_sequence(x[:2], k.steps(0, 2))
    second, last = glif_sequence(x[2:], k.steps(2, 6), state)
    assert torch.equal(torch.cat([first, second]), wanted)
    assert torch.equal(last[0], end[0])
    assert torch.equal(last[1], end[1])


@gpu
def test_on_a_gpu_more_elements_than_32_bits_count() -> None:
    if torch.cuda.mem_get_info()[0] < 20 * 2**30:
        pytest.skip("less than 20 GiB of GPU memory free")
    torch.manual_seed(0)
    x = torch.empty(2, 2**20 + 8, 1024, dtype=BF16, device="cuda")
    x[:, -8:] = torch.randn(2, 8, 1024, device="cuda")
    k = Constants(*(0.1 + 0.8 * torch.rand(1024, device="cuda") for _ in range(6)))
    spikes, _ = glif_sequence(x, k, backend="triton")
    wanted, _ = glif_sequence(x[:, -8:], k, backend="reference")
    assert 0 < wanted.mean() < 1
    assert torch.equal(spikes[:, -8:], wanted)
