"""The shared-latent denoiser: which pixels reach which output, and what its losses measure."""

import numpy as np
import pytest
import torch

from lib.losses.images import LossWeights, edges, latent_statistics, pair_l1, shared_latent_loss
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser

SMALL = {"features": (6, 4), "latent_channels": 5}


def built(**settings):
    torch.manual_seed(0)
    return SharedLatentDenoiser(SharedLatentConfig(**SMALL, **settings)).eval()


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("source", "sees_target", "sees_latent"),
    [("none", False, True), ("target", True, True), ("latent", False, True), ("mixed", True, True)],
)
def test_a_cross_output_depends_on_its_target_only_where_the_targets_skips_enter(source, sees_target, sees_latent):
    model, (x_a, x_b, other) = built(skip_source=source), images(3, 2, 1, 16, 16)
    base = model(x_a, x_b)["cross_a"]
    assert (model(other, x_b)["cross_a"] != base).any().item() is sees_target
    assert (model(x_a, other)["cross_a"] != base).any().item() is sees_latent


def test_a_mix_of_nothing_but_the_latents_skips_is_the_latent_strategy():
    x_a, x_b = images(2, 1, 1, 16, 16)
    mixed, latent = built(skip_source="mixed", alpha=0.0), built(skip_source="latent")
    latent.load_state_dict(mixed.state_dict())
    assert torch.allclose(mixed(x_a, x_b)["cross_a"], latent(x_a, x_b)["cross_a"], atol=1e-6)


def test_same_domain_skips_change_the_same_domain_output_alone():
    x_a, x_b = images(2, 1, 1, 16, 16)
    with_skips = built(same_domain_skip=True)
    out = with_skips(x_a, x_b)
    without = built()
    without.load_state_dict({k: v for k, v in with_skips.state_dict().items() if k in without.state_dict()})
    bare = without(x_a, x_b)
    assert torch.allclose(out["cross_a"], bare["cross_a"], atol=1e-6)
    assert not torch.allclose(out["same_a"], bare["same_a"])


@pytest.mark.parametrize("size", [(16, 16), (17, 22), (5, 31)])
def test_any_image_size_comes_back(size):
    out = built(skip_source="latent")(*images(2, 1, 1, *size))
    assert {v.shape[-2:] for k, v in out.items() if k[:2] != "z_"} == {torch.Size(size)}


def test_an_image_smaller_than_the_deepest_pixel_is_refused():
    with pytest.raises(ValueError, match="too small: at least 4 x 4"):
        built()(*images(2, 1, 1, 3, 16))


def test_translation_of_one_image_is_the_cross_path():
    model, (x_a, x_b) = built(skip_source="latent"), images(2, 1, 1, 16, 16)
    assert torch.allclose(model.translate(x_b, "a"), model(x_a, x_b)["cross_a"], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"features": (4, 8)}, "deepest level first"),
        ({"features": ()}, "deepest level first"),
        ({"latent_channels": 0}, "at least 1"),
        ({"skip_source": "source"}, "none, target, latent, mixed"),
        ({"alpha": 1.5}, "0..1"),
    ],
)
def test_contradictory_sizes_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        SharedLatentConfig(**settings)


def test_the_loss_is_the_weighted_sum_of_its_parts():
    x_a, x_b = images(2, 3, 1, 16, 16)
    out = built()(x_a, x_b)
    weights = LossWeights(content=0.7, recon=0.2, cross=1.1, edge=0.3)
    parts = shared_latent_loss(out, x_a, x_b, weights)
    total = sum(getattr(weights, k) * parts[k] for k in ("content", "recon", "cross", "edge"))
    assert parts["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    assert parts["cross"].item() == pytest.approx(
        ((out["cross_a"] - x_a).abs().mean() + (out["cross_b"] - x_b).abs().mean()).item(), rel=1e-6
    )


def test_the_scale_free_content_loss_ignores_the_scale_and_the_absolute_one_does_not():
    z_a, z_b = images(2, 4, 3, 6, 6)
    assert latent_statistics(0.01 * z_a, 0.01 * z_b)["content_ratio"].item() == pytest.approx(
        latent_statistics(z_a, z_b)["content_ratio"].item(), rel=1e-4
    )
    assert latent_statistics(z_a, z_a)["content_ratio"].item() == 0
    assert latent_statistics(z_a, z_b)["content_ratio"].item() == pytest.approx(1, abs=0.3)


def test_a_collapsed_latent_has_no_deviation():
    z = torch.full((2, 3, 4, 4), 0.5)
    assert latent_statistics(z, z)["latent_std"].item() == 0


def test_sobel_of_a_ramp_is_its_slope():
    ramp = torch.arange(8.0).repeat(8, 1)[None, None] * 0.5
    assert torch.allclose(edges(ramp)[:, 0], torch.tensor(0.5))
    assert torch.allclose(edges(ramp)[:, 1], torch.tensor(0.0))
    assert pair_l1(ramp, ramp, ramp, ramp + 1).item() == 1


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"recon": -1.0}, "0 or more"),
        ({"cross": 0.0, "recon": 0.0}, "nothing would train"),
        ({"content_kind": "l1"}, "absolute"),
    ],
)
def test_useless_weights_are_refused(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        LossWeights(**weights)


def test_noise2noise_from_noisy_targets_finds_the_clean_image():
    """Two noisy acquisitions of one scene, target never clean: the cross output gets closer to the truth than its input."""
    torch.manual_seed(0)
    y, x = np.mgrid[0:24, 0:24] / 24
    scenes = torch.tensor(np.stack([np.sin(6 * (x * np.cos(t) + y * np.sin(t))) * 0.4 + 0.5 for t in np.linspace(0, 3, 16)]))
    clean = scenes.float()[:, None]
    model = SharedLatentDenoiser(SharedLatentConfig(features=(8,), latent_channels=8))
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        noisy_a, noisy_b = (clean + 0.2 * torch.randn_like(clean) for _ in range(2))
        adam.zero_grad()
        shared_latent_loss(model(noisy_a, noisy_b, same=False), noisy_a, noisy_b, LossWeights(0, 0, 1))["loss"].backward()
        adam.step()
    noisy = clean + 0.2 * torch.randn_like(clean)
    with torch.no_grad():
        error = ((model(noisy, noisy)["cross_a"] - clean) ** 2).mean()
    assert error < 0.5 * ((noisy - clean) ** 2).mean()
