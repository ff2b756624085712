"""One encoder, two decoders, one latent space: image-to-image denoising from noisy pairs in two contrasts.

    x_a -> encoder -> z_a, skips_a        same-domain output  a' = decoder_a(z_a, skips_a or none)
    x_b -> encoder -> z_b, skips_b        cross-domain output a* = decoder_a(z_b, skips chosen by `skip_source`)

The cross output of domain a is trained against the noisy x_a. If x_a's own skips enter that decoder, its noise does too.
"""

import itertools
from dataclasses import dataclass

from torch import nn
from torch.nn import functional as F

SKIP_SOURCES = ("none", "target", "latent", "mixed")
DOMAINS = ("a", "b")
SLOPE = 0.1  # of the leaky ReLU below zero, as in Lehtinen et al. 2018


@dataclass(frozen=True)
class SharedLatentConfig:
    """Sizes and skip strategy.

    features          channels per level, the deepest first; each level halves the image
    latent_channels   channels of the latent, at 1 / 2**len(features) of the image
    skip_source       skips of a cross output: `none`; `target`, of the image that is also the target; `latent`, of the
                      image that made the latent; `mixed`, alpha of the target's and 1 - alpha of the latent's
    same_domain_skip  whether a same-domain output gets the skips of its own image
    """

    features: tuple[int, ...] = (512, 256, 128)
    latent_channels: int = 256
    skip_source: str = "none"
    alpha: float = 0.5
    same_domain_skip: bool = False

    def __post_init__(self):
        if not self.features or min(self.features) < 1 or list(self.features) != sorted(self.features, reverse=True):
            raise ValueError(
                f"features is {list(self.features)}: give positive channels, the deepest level first: [512, 256, 128]"
            )
        if self.latent_channels < 1:
            raise ValueError(f"latent_channels is {self.latent_channels}: it must be at least 1")
        if self.skip_source not in SKIP_SOURCES:
            raise ValueError(f"skip_source is {self.skip_source!r}: use one of {', '.join(SKIP_SOURCES)}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}: the share of the target's skips lies in 0..1")

    @property
    def has_skips(self):
        """Tell whether any decoder ever receives skips."""
        return self.same_domain_skip or self.skip_source != "none"


class ConvBlock(nn.Module):
    """Two 3 x 3 convolutions; an optional skip enters the first one. No normalisation: it would lose the grey level."""

    def __init__(self, c_in, c_out, c_skip=0):
        super().__init__()
        self.enter = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_skip, c_out, 3, padding=1, bias=False) if c_skip else None
        self.mix = nn.Conv2d(c_out, c_out, 3, padding=1)
        for conv in (self.enter, self.mix):
            nn.init.kaiming_normal_(conv.weight, a=SLOPE)
            nn.init.zeros_(conv.bias)

    def forward(self, x, skip=None):
        x = self.enter(x)  # B C H W
        if skip is not None:
            x = x + self.skip(skip)  # one convolution over the concatenation, split: a missing skip is a zero skip
        return F.leaky_relu(self.mix(F.leaky_relu(x, SLOPE)), SLOPE)


class Encoder(nn.Module):
    """Image (B, 1, H, W) -> latent (B, D, H / 2**n, W / 2**n) and skips, the shallowest first."""

    def __init__(self, features, latent_channels):
        super().__init__()
        widths = [1, *reversed(features)]
        self.blocks = nn.ModuleList(ConvBlock(c, d) for c, d in itertools.pairwise(widths))
        self.to_latent = nn.Conv2d(widths[-1], latent_channels, 3, padding=1)

    def forward(self, x):
        skips = []
        for block in self.blocks:
            x = block(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        return self.to_latent(x), skips


class Decoder(nn.Module):
    """Latent and skips (or None) -> image (B, 1, H, W)."""

    def __init__(self, features, latent_channels, with_skips):
        super().__init__()
        widths = [latent_channels, *features]
        pairs = list(itertools.pairwise(widths))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(c, d, 2, stride=2) for c, d in pairs)
        self.blocks = nn.ModuleList(ConvBlock(d, d, d if with_skips else 0) for _, d in pairs)
        self.to_image = nn.Conv2d(features[-1], 1, 1)

    def forward(self, z, skips=None):
        levels = reversed(skips) if skips is not None else [None] * len(self.ups)
        for up, block, skip in zip(self.ups, self.blocks, levels, strict=True):
            z = block(up(z), skip)
        return self.to_image(z)


class SharedLatentDenoiser(nn.Module):
    """Encode either domain, decode into either; `forward` returns everything that the losses look at."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.features, config.latent_channels)
        self.decoders = nn.ModuleDict(
            {domain: Decoder(config.features, config.latent_channels, config.has_skips) for domain in DOMAINS}
        )

    def forward(self, x_a, x_b, *, same=True):
        """Return {z_a, z_b, cross_a, cross_b, same_a, same_b}; the same-domain outputs only where asked for.

        x_a, x_b (B, 1, H, W), any H and W (padded by reflection, cut again). cross_a is decoded from z_b.
        """
        (z_a, skips_a), (z_b, skips_b) = (self.encoder(self.padded(x)) for x in (x_a, x_b))
        out = {
            "cross_a": self.decoders["a"](z_b, self.cross_skips(target=skips_a, latent=skips_b)),
            "cross_b": self.decoders["b"](z_a, self.cross_skips(target=skips_b, latent=skips_a)),
        }
        if same:
            own = self.config.same_domain_skip
            out["same_a"] = self.decoders["a"](z_a, skips_a if own else None)
            out["same_b"] = self.decoders["b"](z_b, skips_b if own else None)
        height, width = x_a.shape[-2:]
        return {"z_a": z_a, "z_b": z_b} | {name: image[..., :height, :width] for name, image in out.items()}

    def translate(self, x, to):
        """Return the image of domain `to` that the latent of the one image x gives, by the rule of the cross path.

        x (B, 1, H, W). Skips, where the cross path has any, are x's own (of `mixed` the latent's share).
        """
        z, skips = self.encoder(self.padded(x))
        height, width = x.shape[-2:]
        return self.decoders[to](z, self.cross_skips(target=skips, latent=skips))[..., :height, :width]

    def cross_skips(self, target, latent):
        """Return the skips that a cross output receives."""
        source, alpha = self.config.skip_source, self.config.alpha
        if source == "mixed":
            return [alpha * t + (1 - alpha) * s for t, s in zip(target, latent, strict=True)]
        return {"none": None, "target": target, "latent": latent}[source]

    def padded(self, x):
        """Return x reflected at the right and the bottom until H and W are multiples of 2**levels."""
        step = 2 ** len(self.config.features)
        height, width = x.shape[-2:]
        if min(height, width) < step:
            raise ValueError(f"an image of {height} x {width} pixels is too small: at least {step} x {step}")
        pad = (0, -width % step, 0, -height % step)
        return F.pad(x, pad, mode="reflect") if any(pad) else x


def count_parameters(model):
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
