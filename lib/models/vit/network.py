"""A Vision Transformer on one-dimensional spectra, regression only.

Pre-norm encoder (Dosovitskiy et al. 2020, arXiv:2010.11929) over patches of wavelength pixels. Classification heads and
learned preprocessors of the original MyViT are out of scope.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.models.layers import Attention, AttentionPool, PatchTokenizer

CHOICES = {
    "tokenizer": ("C1D", "SW"),
    "pos_encoding": ("learned", "rope", "none"),
    "pooling": ("cls", "mean", "attention"),
    "init": ("trunc02", "reference"),
}


@dataclass(frozen=True)
class ViTConfig:
    """Sizes and variants of a SpectrumViT; the defaults are the documents' (4,809,729 parameters).

    input_length        pixels of one spectrum
    patch_size, stride  pixels per token and between tokens; stride None = patch_size, smaller overlaps
    tokenizer           C1D: Conv1d; SW: unfold and Linear. Equal arithmetic, different initialisation under `reference`
    pooling             cls: a CLS token; mean, attention: over patch tokens, and no CLS token exists
    init                trunc02: truncated normal 0.02; reference: positions and CLS at N(0, 1), Conv1d at its default
    predict_sigma       the head also returns log sigma of each label
    """

    input_length: int = 4096
    patch_size: int = 16
    stride: int | None = None
    hidden_size: int = 256
    num_layers: int = 6
    num_heads: int = 8
    intermediate_size: int | None = None
    tokenizer: str = "C1D"
    pos_encoding: str = "learned"
    pooling: str = "cls"
    init: str = "trunc02"
    n_labels: int = 1
    dropout: float = 0.1
    attention_dropout: float = 0.0
    layer_norm_eps: float = 1e-12
    predict_sigma: bool = False

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; use one of {', '.join(allowed)}")
        for name in ("input_length", "patch_size", "hidden_size", "num_layers", "num_heads", "n_labels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        self._check_patches()
        self._check_heads()

    def _check_patches(self):
        L, P, S = self.input_length, self.patch_size, self.step
        if P > L:
            raise ValueError(f"patch_size {P} is larger than the spectrum of {L} pixels; use at most {L}")
        if not 1 <= S <= P:
            raise ValueError(f"stride {S} must lie between 1 and patch_size {P}, or pixels are skipped")
        if (L - P) % S:
            better = _closest_divisor(L if P == S else L - P, S)
            name = "patch_size" if P == S else "stride"
            rest = f"patches of {P} pixels every {S} leave {(L - P) % S} of {L} pixels over"
            raise ValueError(f"{rest}; use {name} {better}, for example")

    def _check_heads(self):
        D, H = self.hidden_size, self.num_heads
        if D % H:
            raise ValueError(f"hidden_size {D} is not divisible by num_heads {H}; use {D // H * H or H}, for example")
        if self.pos_encoding == "rope" and (D // H) % 2:
            raise ValueError(f"rope rotates pairs and needs an even hidden_size / num_heads, got {D} / {H} = {D // H}")

    @property
    def step(self) -> int:
        return self.patch_size if self.stride is None else self.stride

    @property
    def mlp_size(self) -> int:
        return 4 * self.hidden_size if self.intermediate_size is None else self.intermediate_size

    @property
    def n_patches(self) -> int:
        return (self.input_length - self.patch_size) // self.step + 1

    @property
    def n_tokens(self) -> int:
        return self.n_patches + (self.pooling == "cls")


def _closest_divisor(total: int, near: int) -> int:
    return min((d for d in range(1, total + 1) if total % d == 0), key=lambda d: abs(d - near))


class Block(nn.Module):
    """Pre-norm encoder block on tokens (B, N, D)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        D, rope = config.hidden_size, config.n_tokens if config.pos_encoding == "rope" else None
        self.norm_attention = nn.LayerNorm(D, eps=config.layer_norm_eps)
        self.attention = Attention(D, config.num_heads, dropout=config.attention_dropout, rope_tokens=rope)
        self.norm_mlp = nn.LayerNorm(D, eps=config.layer_norm_eps)
        self.mlp = nn.Sequential(nn.Linear(D, config.mlp_size), nn.GELU(), nn.Linear(config.mlp_size, D))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_attention(x)))
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


class SpectrumViT(nn.Module):
    """Predict labels (B, n_labels) from flux (B, L); with `predict_sigma` (B, 2 n_labels): means, then log sigmas.

    Flux is first standardised per pixel by the buffers `pixel_mean` and `pixel_scale`, the identity until set.
    """

    def __init__(self, config: ViTConfig, *, seed: int = 0):
        super().__init__()
        self.config, D = config, config.hidden_size
        self.register_buffer("pixel_mean", torch.zeros(config.input_length))
        self.register_buffer("pixel_scale", torch.ones(config.input_length))
        self.tokenizer = PatchTokenizer(D, config.patch_size, config.step, conv=config.tokenizer == "C1D")
        self.cls_token = nn.Parameter(torch.zeros(1, 1, D)) if config.pooling == "cls" else None
        learned = config.pos_encoding == "learned"
        self.positions = nn.Parameter(torch.zeros(1, config.n_tokens, D)) if learned else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(D, eps=config.layer_norm_eps)
        self.pool = AttentionPool(D) if config.pooling == "attention" else None
        self.head = nn.Linear(D, config.n_labels * (2 if config.predict_sigma else 1))
        initialise(self, torch.Generator().manual_seed(seed))

    def set_input_scaling(self, mean: Tensor, scale: Tensor) -> None:
        """Standardise flux as (flux - mean) / scale, both (L,), fitted on training rows; scale <= 0 is a ValueError."""
        if not bool((scale > 0).all()):
            raise ValueError("pixel scales must be positive; give constant pixels a scale of 1")
        self.pixel_mean.copy_(mean)
        self.pixel_scale.copy_(scale)

    def embed(self, flux: Tensor) -> Tensor:
        """Return the tokens (B, N, D) that enter the encoder. Raises ValueError on a wrong number of pixels."""
        if flux.ndim != 2 or flux.shape[1] != self.config.input_length:
            raise ValueError(f"flux must be (B, {self.config.input_length}), got {tuple(flux.shape)}")
        x = self.tokenizer((flux - self.pixel_mean) / self.pixel_scale)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
        if self.positions is not None:
            x = x + self.positions
        return self.dropout(x)

    def forward(self, flux: Tensor) -> Tensor:
        x = self.embed(flux)
        for block in self.blocks:
            x = block(x)
        return self.head(self.pooled(self.norm(x)))

    def pooled(self, x: Tensor) -> Tensor:
        """Reduce the encoder's output (B, N, D) to (B, D)."""
        if self.cls_token is not None:
            return x[:, 0]
        return x.mean(dim=1) if self.pool is None else self.pool(x)

    @torch.no_grad()
    def attention_maps(self, flux: Tensor) -> Tensor:
        """Return every block's attention weights (B, layers, heads, N, N)."""
        x, maps = self.embed(flux), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.norm_attention(x)))
            x = block(x)
        return torch.stack(maps, dim=1)

    def patch_attention(self, flux: Tensor) -> Tensor:
        """Return attention per patch (B, layers, n_patches), mean over heads; from CLS, or else mean over queries."""
        maps = self.attention_maps(flux).mean(dim=2)  # (B, layers, N, N)
        return maps[:, :, 0, 1:] if self.cls_token is not None else maps.mean(dim=2)


def initialise(model: SpectrumViT, generator: torch.Generator) -> None:
    """Set every weight from `generator`: truncated normal 0.02, or as the original left them (`init="reference"`)."""
    if model.head.weight.is_meta:
        return
    reference = model.config.init == "reference"
    for module in model.modules():
        if isinstance(module, nn.Conv1d) and reference:
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04, generator=generator)
            nn.init.zeros_(module.bias)
    for free in (model.cls_token, model.positions):
        if free is not None and reference:
            nn.init.normal_(free, generator=generator)
        elif free is not None:
            nn.init.trunc_normal_(free, std=0.02, a=-0.04, b=0.04, generator=generator)
