"""The four losses of a shared-latent denoiser, and their weighted sum."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

CONTENT_KINDS = ("absolute", "scale_free")
SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8


@dataclass(frozen=True)
class LossWeights:
    """Weights of content, recon, cross and edge; content_kind: `absolute` (L2 of the latents) or `scale_free` (a ratio)."""

    content: float = 1.0
    recon: float = 0.2
    cross: float = 1.0
    edge: float = 0.0
    content_kind: str = "absolute"

    def __post_init__(self):
        for name in ("content", "recon", "cross", "edge"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"the weight of the {name} loss is {getattr(self, name)}: it must be 0 or more")
        if not self.cross + self.recon > 0:
            raise ValueError("the weights of the cross and the recon loss are both 0: nothing would train the decoders")
        if self.content_kind not in CONTENT_KINDS:
            raise ValueError(f"content_kind is {self.content_kind!r}: use one of {', '.join(CONTENT_KINDS)}")


def edges(image):
    """Return the Sobel derivatives (B, 2, H-2, W-2) of images (B, 1, H, W), per pixel; 0 where the image is flat."""
    kernel = torch.stack([SOBEL, SOBEL.T])[:, None].to(image)
    return F.conv2d(image, kernel)


def pair_l1(out_a, out_b, target_a, target_b):
    """Return the sum over the two domains of the mean absolute error: what the milestones 1.0, 0.5 and 0.3 count."""
    return F.l1_loss(out_a, target_a) + F.l1_loss(out_b, target_b)


def latent_statistics(z_a, z_b):
    """Return {latent_std, content_ratio} of two latents (B, D, h, w).

    latent_std: the mean standard deviation of a channel; near zero the latent has collapsed.
    content_ratio: E (z_a - z_b)^2 over the sum of the two variances; 0 where they agree, 1 where they are independent.
    """
    both = torch.cat([z_a, z_b]).float()
    std = both.std(dim=(0, 2, 3), correction=0).mean()
    variance = z_a.float().var(dim=(0, 2, 3), correction=0) + z_b.float().var(dim=(0, 2, 3), correction=0)
    ratio = ((z_a - z_b).float() ** 2).mean(dim=(0, 2, 3)).sum() / variance.sum().clamp_min(1e-12)
    return {"latent_std": std, "content_ratio": ratio}


def shared_latent_loss(out, target_a, target_b, weights):
    """Return {loss, cross, content, content_ratio, latent_std, and recon and edge where they can be computed}.

    out: what SharedLatentDenoiser returns; targets (B, 1, H, W): the noisy images. The one line of Noise2Noise is
    `cross`: the target of domain a is noisy, and the output was made from the other acquisition (Lehtinen et al. 2018).
    """
    parts = {"cross": pair_l1(out["cross_a"], out["cross_b"], target_a, target_b)}
    parts["content"] = F.mse_loss(out["z_a"], out["z_b"])
    parts |= latent_statistics(out["z_a"], out["z_b"])
    if "same_a" in out:
        parts["recon"] = pair_l1(out["same_a"], out["same_b"], target_a, target_b)
    if weights.edge:
        cross, target = ((edges(x), edges(y)) for x, y in ((out["cross_a"], out["cross_b"]), (target_a, target_b)))
        parts["edge"] = pair_l1(*cross, *target)
    content = parts["content_ratio"] if weights.content_kind == "scale_free" else parts["content"]
    loss = weights.cross * parts["cross"] + weights.content * content
    loss = loss + weights.recon * parts.get("recon", 0.0) + weights.edge * parts.get("edge", 0.0)
    return {"loss": loss} | parts
