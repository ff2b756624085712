"""What a SpectrumViT is made of: parameters, tensor shapes and operations, all read off the model itself."""

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from lib.models.vit.network import SpectrumViT, ViTConfig

PEAK_TFLOPS = {"H200": 790, "H100": 790, "A100": 312}  # dense bf16, by part of the device's name
PARTS = (
    ("tokenizer.", "patch embedding"),
    ("cls_token", "CLS token"),
    ("positions", "position embedding"),
    ("attention.qkv.weight", "query, key, value weights"),
    ("attention.qkv.bias", "query, key, value biases"),
    ("attention.out.", "attention output"),
    ("norm_", "block LayerNorms"),
    ("mlp.", "feed-forward"),
    ("pool.", "pooling"),
    ("norm.", "final LayerNorm"),
    ("head.", "regression head"),
)


def _part(name: str) -> str:
    inner = name.split(".", 2)[2] if name.startswith("blocks.") else name
    return next(label for prefix, label in PARTS if inner.startswith(prefix))


def parameter_table(model: SpectrumViT) -> pd.DataFrame:
    """Return `component`, `tensors`, `parameters` (all blocks summed) and `per_block`; the last row is the total."""
    rows = [(_part(name), name.startswith("blocks."), p.numel()) for name, p in model.named_parameters()]
    table = pd.DataFrame(rows, columns=["component", "in_block", "parameters"])
    table = table.groupby("component", sort=False).agg(
        tensors=("parameters", "size"), parameters=("parameters", "sum"), in_block=("in_block", "first")
    )
    table["per_block"] = (table.parameters // model.config.num_layers).where(table.in_block)
    total = pd.DataFrame({"tensors": table.tensors.sum(), "parameters": table.parameters.sum()}, index=["total"])
    return pd.concat([table.drop(columns="in_block"), total]).rename_axis("component").reset_index()


def _on_meta(config: ViTConfig) -> SpectrumViT:
    with torch.device("meta"):
        return SpectrumViT(config).eval()


def flops(config: ViTConfig, *, batch_size: int = 1) -> dict[str, int]:
    """Return operations of one forward and one training pass over a batch; a multiply-add counts as two.

    Counted by running the model without data (device `meta`): matrix products, convolutions and attention.
    """
    model, flux = _on_meta(config), torch.empty(batch_size, config.input_length, device="meta")
    with FlopCounterMode(display=False) as forward:
        model(flux)
    with FlopCounterMode(display=False) as training:
        model(flux).sum().backward()
    return {"forward": forward.get_total_flops(), "training": training.get_total_flops()}


def peak_tflops(device: torch.device) -> float | None:
    """Return the dense bf16 peak of a known GPU in TFLOP/s; None for others and for CPUs."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def shape_trace(config: ViTConfig, *, batch_size: int = 256) -> pd.DataFrame:
    """Return one row per module in order of execution: `module`, `kind`, `input`, `output` shapes."""
    model, rows, handles = _on_meta(config), [], []
    for name, module in model.named_modules():
        if not any(module.children()) or name.endswith(("attention", "tokenizer")):
            handles.append(module.register_forward_hook(_recorder(name, rows)))
    rows.append(("spectrum", "flux", "", str((batch_size, config.input_length))))
    model(torch.empty(batch_size, config.input_length, device="meta"))
    for handle in handles:
        handle.remove()
    return pd.DataFrame(rows, columns=["module", "kind", "input", "output"])


def _recorder(name: str, rows: list):
    def record(module, inputs, output):
        rows.append((name, type(module).__name__, str(tuple(inputs[0].shape)), str(tuple(output.shape))))

    return record
