"""Watching what passes through the layers of a network."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

# Is called with the layer, its inputs and its output after each forward pass of the layer.
Hook = Callable[[nn.Module, Any, Tensor], None]


class Watching:
    """Registers a subclass's hooks while the context is open, and removes them even after an error."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def hooks(self) -> Iterator[tuple[nn.Module, Hook]]:
        """Each layer to watch and the hook for it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._handles += [layer.register_forward_hook(hook) for layer, hook in self.hooks()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
