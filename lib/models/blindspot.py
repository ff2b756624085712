"""The blind-spot denoiser: a causal 1-D U-Net run over a spectrum and over its reversal.

No convolution sees its own pixel, so that (mu, sigma)[i] depends on every pixel but i. 1,889,670 parameters at the
default configuration. Source: Laine et al. 2019 (arXiv:1901.10277), in one dimension; names of the weights as in the
original checkpoints. The blind spot is exact in `eval` mode; batch statistics leak through BatchNorm in `train` mode.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from lib.files import read_json
from lib.legible import legible
from lib.weights import fill, read_weights

SLOPE = 0.1  # of every LeakyReLU
DIRECTIONS = ("forward", "mean", "concat")


@dataclass(frozen=True)
class BlindSpotConfig:
    """Shape of the denoiser; the defaults are the original's."""

    num_layers: int = 9  # encoder stages; all but the first halve the length
    embed_dim: int = 48  # channels of every stage
    kernel_size: int = 25  # taps, odd
    input_sigma: bool = True  # second input channel: the noise standard deviation
    use_bn: bool = True
    flux_scale: float = 1.0  # the input is multiplied by it and the output divided: keeps Softplus away from its tail
    fast: bool = True  # channels-last convolutions and polyphase upsampling; same weights, same outputs

    def __post_init__(self):
        for name in ("num_layers", "embed_dim", "kernel_size"):
            value, least = getattr(self, name), 2 if name == "num_layers" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"BlindSpotConfig: {name} is {value!r}; it must be a whole number of at least {least}.")
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"BlindSpotConfig: an even kernel_size ({self.kernel_size}) lets every pixel see itself; take an odd one."
            )
        if not (isinstance(self.input_sigma, bool) and isinstance(self.use_bn, bool)):
            raise ValueError(
                f"BlindSpotConfig: input_sigma {self.input_sigma!r} and use_bn {self.use_bn!r} must be true or false."
            )
        if not self.flux_scale > 0:
            raise ValueError(f"BlindSpotConfig: flux_scale is {self.flux_scale!r}; it must be positive.")

    @property
    def in_channels(self) -> int:
        return 1 + self.input_sigma

    @property
    def min_length(self) -> int:
        """Return the fewest pixels that leave one after all poolings."""
        return 2 ** (self.num_layers - 1)

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the names that `latents` knows."""
        return (*(f"layer{i}" for i in range(self.num_layers)), "enc_pre_latent", "enc_last", "dec_input")


def halve_phases(weight: Tensor) -> Tensor:
    """Turn causal taps on a signal upsampled by two into taps on the signal itself, one set per output phase.

    weight (O, I, k) -> (2 * O, I, (k + 1) / 2), even phase first. u[i] = x[i // 2] makes neighbouring taps meet the
    same pixel, so they add up. Source: polyphase decomposition, Vaidyanathan 1990.
    """
    return torch.cat([F.pad(weight, pad).unflatten(-1, (-1, 2)).sum(-1) for pad in ((0, 1), (1, 0))])


class CausalConv(nn.Module):
    """Convolve pixels i - k + 1 .. i, then BatchNorm and LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, use_bn: bool):
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size)
        self.bn = nn.BatchNorm1d(out_channels) if use_bn else None
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, low: Tensor | None = None) -> Tensor:
        """Map x (B, C, L) or (B, C, 1, L); `low` (B, C', 1, L / 2), upsampled by two, stands for the channels before x."""
        weight, bias = self._folded()
        if x.dim() == 3:
            y = F.conv1d(F.pad(x, (weight.shape[-1] - 1, 0)), weight, bias)
        elif low is None:
            y = _conv(x, weight, bias)
        else:
            taps = halve_phases(weight[:, : low.shape[1]])
            y = _interleave(_conv(low, taps)) + _conv(x, weight[:, low.shape[1] :], bias)
        if self.bn is not None and self.bn.training:
            y = self._batch_norm(y)
        return F.leaky_relu(y, SLOPE, inplace=True)

    def _folded(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias, with the frozen BatchNorm multiplied in outside training."""
        weight, bias, bn = self.conv.weight, self.conv.bias, self.bn
        if bn is None or bn.training:
            return weight, bias
        scale = bn.weight * torch.rsqrt(bn.running_var + bn.eps)
        return weight * scale[:, None, None], (bias - bn.running_mean) * scale + bn.bias

    def _batch_norm(self, y: Tensor) -> Tensor:
        bn = self.bn
        if isinstance(bn, nn.SyncBatchNorm):  # what Lightning makes of it where several GPUs train together
            return bn(y)
        bn.num_batches_tracked.add_(1)
        return F.batch_norm(y, bn.running_mean, bn.running_var, bn.weight, bn.bias, True, bn.momentum, bn.eps)


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve (B, C, 1, L) causally in channels-last memory."""
    x = F.pad(x, (weight.shape[-1] - 1, 0)) if weight.shape[-1] > 1 else x
    return F.conv2d(x.contiguous(memory_format=torch.channels_last), weight.unsqueeze(2), bias)


def _interleave(y: Tensor) -> Tensor:
    """Weave two phases (B, 2C, 1, L) into (B, C, 1, 2L): in channels-last memory this moves no bytes."""
    pixels = y.permute(0, 2, 3, 1)  # (B, 1, L, 2C)
    return pixels.unflatten(-1, (2, -1)).flatten(2, 3).permute(0, 3, 1, 2)


def shift_pool(y: Tensor) -> Tensor:
    """Shift right by one, a zero moving in, and keep the larger of each pair: pixel m sees 2m - 1 and 2m."""
    half = y.shape[-1] // 2
    if y.dim() == 3:
        return F.max_pool1d(F.pad(y, (1, -1)), 2)
    pooled = F.max_pool2d(y, (1, 2), padding=(0, 1))[..., :half]
    first = pooled[..., :1].clamp(min=0)  # the zero that moved in
    return torch.cat([first, pooled[..., 1:]], dim=-1)


class BlindSpotDenoiser(nn.Module):
    """Predict each pixel's mean and standard deviation from all the others."""

    def __init__(self, config: BlindSpotConfig | None = None):
        super().__init__()
        self.config = config = config or BlindSpotConfig()
        width, depth, k, c_in = config.embed_dim, config.num_layers, config.kernel_size, config.in_channels
        skips = [width] * (depth - 2) + [c_in]
        pointwise = [2 * width, 4 * width, 2 * width, 2]

        def stack(widths_in, widths_out, taps=k):
            return nn.ModuleList(CausalConv(i, o, taps, config.use_bn) for i, o in zip(widths_in, widths_out, strict=True))

        self.encoders = stack([c_in] + [width] * depth, [width] * (depth + 1))
        self.decoders_a = stack([width + skip for skip in skips], [width] * (depth - 1))
        self.decoders_b = stack([width] * (depth - 1), [width] * (depth - 1))
        self.nin_layers = stack(pointwise[:-1], pointwise[1:], taps=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return mu and sigma (B, 2, L) for flux and noise sigma (B, 2, L), in the unit of the input.

        Raises ValueError for another number of channels or fewer than 2 ** (num_layers - 1) pixels.
        """
        x = self._both_ways(x)
        features = self._encode(x)
        skips = [x, *features[1 : self.config.num_layers - 1]]
        y = features[-1]
        for skip, conv_a, conv_b in zip(reversed(skips), self.decoders_a, self.decoders_b, strict=True):
            y = conv_b(self._upsample_into(conv_a, y, skip))
        right, left = F.pad(y, (1, -1)).chunk(2)  # shifted: no pixel has seen itself
        y = torch.cat([right, left.flip(-1)], dim=1)
        for layer in self.nin_layers:
            y = layer(y)
        return F.softplus(y.to(torch.promote_types(y.dtype, torch.float32))).reshape(y.shape[0], 2, -1) / self.config.flux_scale

    def latents(self, x: Tensor, layer: str = "enc_pre_latent", direction: str = "mean") -> Tensor:
        """Return one layer's features (B, C, L'), 2C channels for `concat`; runs the encoder only.

        layer      `layer0`.. (encoder stages), `enc_pre_latent`, `enc_last`, `dec_input`
        direction  `forward`, or both with the reversed half flipped back: `mean`, `concat`
        """
        return self.all_latents(x, (layer,), direction)[layer]

    def all_latents(self, x: Tensor, layers: tuple[str, ...], direction: str = "mean") -> dict[str, Tensor]:
        """Return several layers' features from one pass; see `latents`."""
        if unknown := [name for name in layers if name not in self.config.layers]:
            raise ValueError(f"latents: no layer {unknown[0]!r}; choose one of {', '.join(self.config.layers)}.")
        stages = {name: self._stage(name) for name in layers}
        features = self._encode(self._both_ways(x), until=max(stages.values()))
        return {name: merge_directions(features[stage], direction) for name, stage in stages.items()}

    def _stage(self, layer: str) -> int:
        depth = self.config.num_layers
        named = {"enc_pre_latent": depth - 1, "enc_last": depth, "dec_input": depth}
        return named[layer] if layer in named else int(layer.removeprefix("layer"))

    def _both_ways(self, x: Tensor) -> Tensor:
        """Stack the scaled input and its reversal: (B, C, L) -> (2B, C, L), or (2B, C, 1, L) on the fast path."""
        config = self.config
        if x.dim() != 3 or x.shape[1] != config.in_channels:
            raise ValueError(f"BlindSpotDenoiser: input has shape {tuple(x.shape)}; expected (B, {config.in_channels}, L).")
        if x.shape[-1] < config.min_length:
            raise ValueError(
                f"BlindSpotDenoiser: {x.shape[-1]} pixels; {config.num_layers} layers need {config.min_length} or more."
            )
        x = x * config.flux_scale if config.flux_scale != 1 else x
        x = torch.cat([x, x.flip(-1)])
        return x.unsqueeze(2) if config.fast else x

    def _encode(self, x: Tensor, until: int | None = None) -> list[Tensor]:
        """Return the outputs of encoder convolutions 0, 1 (pooled), ..., `until`."""
        last = self.config.num_layers
        features = []
        for i, conv in enumerate(self.encoders[: (last if until is None else until) + 1]):
            x = conv(x)
            x = shift_pool(x) if 0 < i < last else x
            features.append(x)
        return features

    def _upsample_into(self, conv: CausalConv, low: Tensor, skip: Tensor) -> Tensor:
        """Apply `conv` to [low upsampled to the skip's length, skip]."""
        length = skip.shape[-1]
        if self.config.fast and length == 2 * low.shape[-1]:
            return conv(skip, low)
        size = (1, length) if low.dim() == 4 else length
        return conv(torch.cat([F.interpolate(low, size=size, mode="nearest"), skip], dim=1))


def merge_directions(feature: Tensor, direction: str) -> Tensor:
    """Merge the two reading directions (2B, C, [1,] L') into (B, C or 2C, L')."""
    if direction not in DIRECTIONS:
        raise ValueError(f"latents: direction {direction!r} is unknown; choose one of {', '.join(DIRECTIONS)}.")
    forward, backward = (feature.squeeze(2) if feature.dim() == 4 else feature).chunk(2)
    if direction == "forward":
        return forward
    backward = backward.flip(-1)
    return (forward + backward) / 2 if direction == "mean" else torch.cat([forward, backward], dim=1)


def start_head(model: BlindSpotDenoiser, mu: float, mu_spread: float, sigma: float) -> None:
    """Start the outputs near mu +- mu_spread and sigma, all in the unit of the flux.

    The last LeakyReLU and Softplus flatten small values: a head left at its random start stays there for hundreds of
    steps, and the denoiser's gain then measures the initialisation.
    """
    norm, scale = model.nin_layers[-1].bn, model.config.flux_scale
    if norm is None:
        raise ValueError("start_head: the model has no BatchNorm (use_bn=False); the start cannot be set.")
    goal = torch.tensor([mu, sigma], dtype=torch.float64) * scale
    bias = goal + torch.log(-torch.expm1(-goal))  # inverse of Softplus
    with torch.no_grad():
        norm.bias.copy_(torch.where(bias < 0, bias / SLOPE, bias))
        norm.weight.copy_(torch.tensor([mu_spread, sigma / 4]) * scale)


def load_pretrained(path: str | Path) -> BlindSpotDenoiser:
    """Load weights, ours or an original's, into a model in eval mode.

    path  our `.safetensors` with the config JSON beside it, an original Lightning `.ckpt`, or a plain state dict;
          a `model.` prefix is dropped, and without a config the shape is read off the weights
    Raises ValueError for a file that holds more than tensors and plain values, or weights that do not fit.
    """
    path = Path(path)
    state = {name.removeprefix("model."): value for name, value in read_weights(path)[0].items()}
    side = path.with_suffix(".json")
    with legible(path, "a denoiser"):
        model = BlindSpotDenoiser(_stored_config(side) if side.exists() else _config_of(state, path))
    expected = model.state_dict()
    return fill(model, {name: value for name, value in state.items() if name in expected}, path)


def save_pretrained(model: BlindSpotDenoiser, path: str | Path) -> None:
    """Write the weights to `path` (.safetensors) and the config to a JSON file beside it."""
    path = Path(path)
    save_file({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps(asdict(model.config), indent=1))


def _stored_config(path: Path) -> BlindSpotConfig:
    """Read the JSON that `save_pretrained` writes; files from before a field existed keep its default."""
    state = read_json(path, ("num_layers", "embed_dim", "kernel_size"))
    odd = sorted(set(state) - set(BlindSpotConfig.__dataclass_fields__))
    if odd:
        raise ValueError(f"{path} has the unknown key {odd[0]!r}: it does not describe a blind-spot denoiser.")
    with legible(path, "the shape of a denoiser"):
        return BlindSpotConfig(**state)


def _config_of(state: dict, path: Path) -> BlindSpotConfig:
    """Read the shape of the network off its weights."""
    first = state.get("encoders.0.conv.weight")
    if first is None or first.ndim != 3:
        raise ValueError(f"{path} has no 'encoders.0.conv.weight' (channels, inputs, taps); it is no blind-spot denoiser.")
    depth = sum(name.startswith("encoders.") and name.endswith(".conv.weight") for name in state) - 1
    width, channels, taps = first.shape
    return BlindSpotConfig(depth, width, taps, input_sigma=channels == 2, use_bn="encoders.0.bn.weight" in state)
