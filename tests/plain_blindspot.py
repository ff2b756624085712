"""The denoiser written the obvious way: one Conv1d after another, shifts by padding and cropping."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, c_in, c_out, k):
        super().__init__()
        self.conv = nn.Conv1d(c_in, c_out, k, padding=k // 2)
        self.bn = nn.BatchNorm1d(c_out)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x):
        p = self.conv.kernel_size[0] // 2
        y = self.conv(F.pad(x, (p, 0)))  # centred convolution of the signal moved right by p: reads the past only
        return self.act(self.bn(y[..., : x.shape[-1]]))


class PlainBlindSpot(nn.Module):
    def __init__(self, depth=9, c=48, k=25):
        super().__init__()
        self.encoders = nn.ModuleList([Block(2, c, k)] + [Block(c, c, k) for _ in range(depth)])
        self.decoders_a = nn.ModuleList([Block(2 * c, c, k) for _ in range(depth - 2)] + [Block(c + 2, c, k)])
        self.decoders_b = nn.ModuleList([Block(c, c, k) for _ in range(depth - 1)])
        self.nin_layers = nn.ModuleList([Block(2 * c, 4 * c, 1), Block(4 * c, 2 * c, 1), Block(2 * c, 2, 1)])

    @staticmethod
    def shift(x):
        return F.pad(x, (1, 0))[..., :-1]

    def stages(self, x):
        """Return the outputs of encoder stages 0 .. depth - 1 and of the last convolution."""
        out = [self.encoders[0](x)]
        for conv in self.encoders[1:-1]:
            out.append(F.max_pool1d(self.shift(conv(out[-1])), 2))
        return [*out, self.encoders[-1](out[-1])]

    def forward(self, x):
        x = torch.cat([x, x.flip(-1)])
        stages = self.stages(x)
        skips = [x, *stages[1:-2]]
        y = stages[-1]
        for conv_a, conv_b in zip(self.decoders_a, self.decoders_b, strict=True):
            skip = skips.pop()
            y = F.interpolate(y, size=skip.shape[-1], mode="nearest")
            y = conv_b(conv_a(torch.cat([y, skip], dim=1)))
        right, left = self.shift(y).chunk(2)
        y = torch.cat([right, left.flip(-1)], dim=1)
        for layer in self.nin_layers:
            y = layer(y)
        return F.softplus(y)
