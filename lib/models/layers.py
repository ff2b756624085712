"""Layers that models share: the patch tokenizer, the one attention, its rotary positions, and attention pooling."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROPE_BASE = 1e4


def rope_angles(n_tokens: int, head_dim: int, *, base: float = ROPE_BASE) -> Tensor:
    """Return rotary angles (N, head_dim) in radians, half-split layout, token 0 unrotated.

    Raises ValueError where head_dim is odd.   Source: Su et al. 2021, arXiv:2104.09864, eq. 15.
    """
    if head_dim % 2:
        raise ValueError(f"rotary positions need an even head width, got {head_dim}; choose hidden_size / num_heads even")
    inverse = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    angles = torch.arange(n_tokens, dtype=torch.float32)[:, None] * inverse
    return torch.cat([angles, angles], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + head_dim / 2) of x (B, H, N, head_dim) by the angles whose cos and sin are (N, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


class PatchTokenizer(nn.Module):
    """Cut flux (B, L) into patches and project them to tokens (B, N, D), by Conv1d or by unfold and Linear."""

    def __init__(self, dim: int, patch: int, step: int, *, conv: bool = True):
        super().__init__()
        self.patch, self.step = patch, step
        self.projection = nn.Conv1d(1, dim, patch, stride=step) if conv else nn.Linear(patch, dim)

    def forward(self, flux: Tensor) -> Tensor:
        if isinstance(self.projection, nn.Conv1d):
            return self.projection(flux[:, None]).mT
        return self.projection(flux.unfold(1, self.patch, self.step))


class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, N, D), with rotary positions where `rope_tokens` gives their number.

    Raises ValueError where dim is not divisible by heads.   Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0, rope_tokens: int | None = None):
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not divisible by {heads} heads; choose a multiple of {heads}")
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        angles = None if rope_tokens is None else rope_angles(rope_tokens, dim // heads)
        self.register_buffer("cos", None if angles is None else angles.cos(), persistent=False)
        self.register_buffer("sin", None if angles is None else angles.sin(), persistent=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return query, key and value (B, H, N, D / H) of x (B, N, D)."""
        B, N, D = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        if self.cos is not None:
            q, k = rotate(q, self.cos, self.sin), rotate(k, self.cos, self.sin)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)  # (B, H, N, d)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor) -> Tensor:
        """Return the attention weights (B, H, N, N); row i says where token i looks, rows sum to 1."""
        q, k, _ = self.project(x)
        return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)


class AttentionPool(nn.Module):
    """Average tokens (B, N, D) -> (B, D) with weights softmax(x . query / sqrt(D)); a zero query is the plain mean."""

    def __init__(self, dim: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim))

    def weights(self, x: Tensor) -> Tensor:
        """Return the pooling weights (B, N)."""
        return (x @ self.query / math.sqrt(x.shape[-1])).softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.weights(x)[..., None] * x).sum(dim=1)
