"""A small network that imitates a teacher's pooled latent: strided convolutions, segment means, one linear layer."""

from torch import Tensor, nn


class Student(nn.Sequential):
    """Map a spectrum (B, in_channels, L) to a teacher's features (B, out_dim)."""

    def __init__(self, out_dim: int, in_channels: int = 2, *, width: int = 16, segments: int = 8):
        """Build three convolutions of stride 4: L must be at least 64 * segments."""
        layers: list[nn.Module] = [nn.BatchNorm1d(in_channels)]
        for before, after in ((in_channels, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv1d(before, after, 9, stride=4, padding=4), nn.BatchNorm1d(after), nn.GELU()]
        super().__init__(*layers, nn.AdaptiveAvgPool1d(segments), nn.Flatten(), nn.Linear(2 * width * segments, out_dim))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < 512:
            raise ValueError(f"Student: {x.shape[-1]} pixels are too few; it needs at least 512.")
        return super().forward(x)
