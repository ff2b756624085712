"""Weights from disk: safetensors, or torch files of plain tensors; nothing that a file holds is ever run."""

import struct
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeVar

import torch
from lightning.fabric.utilities.data import AttributeDict
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
# what torch's reader of plain tensors raises for a file that is broken, or is no such file
BROKEN = (
    UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError,
    struct.error,
)  # fmt: skip


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, and its metadata (of safetensors).

    path  `.safetensors`, or a torch file: a state dict, or a checkpoint whose `state_dict` is taken
    Raises ValueError naming the file where it is absent, broken, holds no tensors, or would run code.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        with torch.serialization.safe_globals([AttributeDict]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)  # it is refused all the same
            state = torch.load(path, map_location="cpu", weights_only=True)
    except BROKEN:  # their own words advise to switch the safe reader off
        why = "it is damaged, of another kind, or would have to run code to be read"
        raise ValueError(f"{path} is no plain checkpoint of tensors: {why}.") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    tensors = (
        {str(name): value for name, value in state.items() if isinstance(value, Tensor)} if isinstance(state, dict) else {}
    )
    if not tensors:
        raise ValueError(f"{path} holds no state dict.")
    return tensors, {}


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file ({str(error).splitlines()[0]}).") from None


def fill(model: M, state: dict[str, Tensor], path: Path) -> M:
    """Load weights that must fit exactly, and return the model in eval mode.

    Raises ValueError naming the file and the first weight that is absent, misshapen, unknown to the model or not finite.
    """
    expected = model.state_dict()
    wrong = [name for name, value in expected.items() if name not in state or state[name].shape != value.shape]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} weights are absent or misshapen, first {wrong[0]!r}: it is of another architecture."
        )
    odd = [name for name in state if name not in expected]
    if odd:
        raise ValueError(
            f"{path}: {len(odd)} weights are unknown to the model, first {odd[0]!r}: it is of another architecture."
        )
    broken = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f"{path}: the weight {broken[0]!r} holds NaN or infinity: take another checkpoint.")
    model.load_state_dict(state)
    return model.eval()
