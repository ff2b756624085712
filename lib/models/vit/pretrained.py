"""Read and write weights of a SpectrumViT: our `.safetensors`, and state dicts of the original MyViT."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lib.models.vit.network import SpectrumViT, ViTConfig
from lib.weights import fill, read_weights


def save_pretrained(model: SpectrumViT, path: str | Path) -> None:
    """Write weights and config to one `.safetensors` file (the config is its metadata, as JSON)."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, str(path), metadata={"vit_config": json.dumps(asdict(model.config))})


def load_pretrained(
    path: str | Path, *, pos_encoding: str | None = None, num_heads: int = 8, input_length: int | None = None
) -> SpectrumViT:
    """Return a SpectrumViT in evaluation mode, from our `.safetensors` or an original MyViT state dict or checkpoint.

    pos_encoding  `rope` or `none` for an original file that stores no positions (the two cannot be told apart)
    num_heads     of an original file, which does not store it;  input_length likewise where 4096 pixels do not fit
    Raises ValueError where the file is not a regression ViT.
    """
    path = Path(path)
    weights, metadata = read_weights(path)
    if "vit_config" in metadata:
        return fill(SpectrumViT(_stored_config(metadata["vit_config"], path)), weights, path)
    weights = _regression_weights(weights, path)
    model = SpectrumViT(_original_config(weights, pos_encoding, num_heads, input_length))
    renamed = {ours: _take(weights, theirs) for ours, theirs in _original_names(model.config).items()}
    return fill(model, model.state_dict() | renamed, path)


def _stored_config(text: str, path: Path) -> ViTConfig:
    try:
        return ViTConfig(**json.loads(text))
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: its vit_config does not describe a ViT ({error}); write it with save_pretrained.") from None


def _regression_weights(weights: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Return the original's weights in fp32 with any wrapper's prefix removed."""
    if any("preprocessor" in key for key in weights):
        raise ValueError(f"{path} has a learned preprocessor, which SpectrumViT does not support; export it without one")
    found = {}
    for key, value in weights.items():
        for root in ("vit.", "regressor."):
            if key.startswith(root) or f".{root}" in key:
                found[key[key.index(root) :]] = value.float()
                break
    if "vit.embeddings.cls_token" not in found or "regressor.weight" not in found:
        raise ValueError(f"{path} is no MyViT regression file: it needs vit.embeddings.cls_token and regressor.weight")
    return found


def _original_config(weights: dict, pos_encoding: str | None, num_heads: int, input_length: int | None) -> ViTConfig:
    projection = weights["vit.embeddings.patch_embeddings.projection.weight"]
    positions = weights.get("vit.embeddings.position_embeddings")
    if positions is None and pos_encoding not in ("rope", "none"):
        raise ValueError("the file stores no positions; say pos_encoding='rope' or 'none', they cannot be told apart")
    if positions is not None and pos_encoding not in (None, "learned"):
        raise ValueError(f"the file stores learned positions, so pos_encoding {pos_encoding!r} cannot be right")
    P, L = projection.shape[-1], input_length or 4096
    stride = None
    if positions is not None:
        gaps = max(positions.shape[1] - 2, 1)
        fits = (L - P) % gaps == 0 and 0 < (L - P) // gaps <= P
        L, stride = (L, (L - P) // gaps) if fits else (P * (gaps + 1), P)
    return ViTConfig(
        input_length=L, patch_size=P, stride=stride, hidden_size=projection.shape[0], num_heads=num_heads,
        num_layers=1 + max(int(key.split(".")[3]) for key in weights if key.startswith("vit.encoder.layer.")),
        intermediate_size=len(weights["vit.encoder.layer.0.intermediate.dense.weight"]),
        tokenizer="C1D" if projection.ndim == 3 else "SW", pos_encoding=pos_encoding or "learned",
        n_labels=len(weights["regressor.weight"]),
    )  # fmt: skip


def _original_names(config: ViTConfig) -> dict[str, tuple[str, ...]]:
    """Map each of our parameter names to the original's; several are stacked (query, key, value)."""
    both = {
        "tokenizer.projection": ["vit.embeddings.patch_embeddings.projection"],
        "norm": ["vit.layernorm"],
        "head": ["regressor"],
    }
    for i in range(config.num_layers):
        ours, theirs = f"blocks.{i}.", f"vit.encoder.layer.{i}."
        both[ours + "norm_attention"] = [theirs + "layernorm_before"]
        both[ours + "norm_mlp"] = [theirs + "layernorm_after"]
        both[ours + "attention.qkv"] = [theirs + f"attention.attention.{part}" for part in ("query", "key", "value")]
        both[ours + "attention.out"] = [theirs + "attention.output.dense"]
        both[ours + "mlp.0"] = [theirs + "intermediate.dense"]
        both[ours + "mlp.2"] = [theirs + "output.dense"]
    names = {f"{o}.{kind}": tuple(f"{t}.{kind}" for t in ts) for o, ts in both.items() for kind in ("weight", "bias")}
    names["cls_token"] = ("vit.embeddings.cls_token",)
    return names | ({"positions": ("vit.embeddings.position_embeddings",)} if config.pos_encoding == "learned" else {})


def _take(weights: dict[str, Tensor], names: tuple[str, ...]) -> Tensor:
    missing = [name for name in names if name not in weights]
    if missing:
        raise ValueError(f"the checkpoint lacks {missing[0]}; it is no MyViT regression state dict")
    return torch.cat([weights[name] for name in names]) if len(names) > 1 else weights[names[0]]
