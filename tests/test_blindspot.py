import json

import pytest
import torch
import torch.nn.functional as F
from plain_blindspot import PlainBlindSpot

from lib.models.blindspot import (
    BlindSpotConfig,
    BlindSpotDenoiser,
    halve_phases,
    load_pretrained,
    merge_directions,
    save_pretrained,
    start_head,
)

SMALL = {"num_layers": 4, "embed_dim": 6, "kernel_size": 5}


def denoiser(seed=0, **changes):
    """Build a small denoiser in eval mode whose BatchNorm statistics are not the trivial ones."""
    torch.manual_seed(seed)
    model = BlindSpotDenoiser(BlindSpotConfig(**SMALL | changes)).double()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def spectra(n=2, pixels=64, seed=1):
    return torch.rand(n, 2, pixels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_default_denoiser_has_the_size_and_the_names_of_the_original():
    model = BlindSpotDenoiser()
    state = model.state_dict()
    assert sum(p.numel() for p in model.parameters()) == 1_889_670
    assert len(state) == 203
    assert state.keys() == PlainBlindSpot().state_dict().keys()
    shapes = {
        "encoders.0": (48, 2, 25), "encoders.9": (48, 48, 25), "decoders_a.0": (48, 96, 25), "decoders_a.7": (48, 50, 25),
        "decoders_b.7": (48, 48, 25), "nin_layers.0": (192, 96, 1), "nin_layers.2": (2, 96, 1),
    }  # fmt: skip
    assert {name: tuple(state[f"{name}.conv.weight"].shape) for name in shapes} == shapes
    one_channel = BlindSpotDenoiser(BlindSpotConfig(input_sigma=False))
    assert sum(p.numel() for p in one_channel.parameters()) == 1_887_270


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("pixels", "training"), [(512, False), (435, False), (512, True), (435, True)])
def test_denoiser_equals_plain_convolutions_with_the_same_weights(fast, pixels, training):
    torch.manual_seed(0)
    ours, plain = BlindSpotDenoiser(BlindSpotConfig(fast=fast)).double(), PlainBlindSpot().double()
    plain.load_state_dict(ours.state_dict())
    ours.train(training)
    plain.train(training)
    x = spectra(pixels=pixels)
    torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=1e-9)
    for (name, mine), theirs in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, msg=name)  # running statistics move alike


def test_denoiser_equals_plain_convolutions_in_single_precision():
    torch.manual_seed(0)
    ours, plain = BlindSpotDenoiser().eval(), PlainBlindSpot().eval()
    plain.load_state_dict(ours.state_dict())
    x = spectra(1, 4096).float()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=1e-4)


def test_gradients_of_the_fast_path_equal_those_of_plain_convolutions():
    torch.manual_seed(0)
    ours, plain = BlindSpotDenoiser().double(), PlainBlindSpot().double()
    plain.load_state_dict(ours.state_dict())
    x = spectra(pixels=256)
    for model in (ours, plain):
        model(x).square().sum().backward()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("pixels", [64, 61])
@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("fast", [True, False])
def test_blindspot_output_ignores_its_own_pixel(pixels, channel, fast):
    model, x = denoiser(fast=fast), spectra(1, pixels)
    for pixel in range(pixels):
        poisoned = x.clone()
        poisoned[0, channel, pixel] = torch.nan
        blind = model(poisoned).isfinite().all(dim=1)[0]
        assert blind[pixel], f"(mu, sigma)[{pixel}] saw channel {channel} of its own pixel"
        assert not blind.all(), "the poison reached nothing: the test would pass for a model that reads no input"


def test_blindspot_reads_both_neighbours():
    model, x = denoiser(), spectra(1).requires_grad_()
    grad = torch.autograd.grad(model(x)[0, 0, 30], x)[0][0, 0]
    assert grad[30] == 0
    assert grad[29] != 0
    assert grad[31] != 0


def test_blindspot_leaks_through_batch_statistics_in_train_mode_only():
    model, x = denoiser(), spectra(1)
    moved = x.clone()
    moved[0, 0, 30] += 1
    assert torch.equal(model(x)[..., 30], model(moved)[..., 30])
    model.train()
    assert not torch.equal(model(x)[..., 30], model(moved)[..., 30])


def test_halved_phases_equal_convolution_of_the_upsampled_signal():
    weight, low = torch.rand(3, 2, 7, dtype=torch.float64), torch.rand(1, 2, 9, dtype=torch.float64)
    full = F.conv1d(F.pad(low.repeat_interleave(2, -1), (6, 0)), weight)
    even, odd = F.conv1d(F.pad(low, (3, 0)), halve_phases(weight)).chunk(2, dim=1)
    torch.testing.assert_close(torch.stack([even, odd], -1).flatten(2), full)


def test_latents_are_the_encoder_stages_of_the_plain_model():
    torch.manual_seed(0)
    ours, plain = BlindSpotDenoiser().double().eval(), PlainBlindSpot().double().eval()
    plain.load_state_dict(ours.state_dict())
    x = spectra(pixels=512)
    stages = plain.stages(torch.cat([x, x.flip(-1)]))
    layers = dict(zip([*(f"layer{i}" for i in range(9)), "enc_last"], stages, strict=True))
    layers |= {"enc_pre_latent": layers["layer8"], "dec_input": layers["enc_last"]}
    for name, both in layers.items():
        forward, backward = both.chunk(2)
        torch.testing.assert_close(ours.latents(x, name, "forward"), forward)
        torch.testing.assert_close(ours.latents(x, name), (forward + backward.flip(-1)) / 2)
        torch.testing.assert_close(ours.latents(x, name, "concat"), torch.cat([forward, backward.flip(-1)], 1))


def test_latents_at_4096_pixels_have_16_positions():
    assert BlindSpotDenoiser().eval().latents(torch.rand(1, 2, 4096)).shape == (1, 48, 16)
    assert BlindSpotDenoiser().eval().latents(torch.rand(1, 2, 3481)).shape == (1, 48, 13)


def test_reversed_direction_is_flipped_back_before_merging():
    """A feature that marks a place must be at that place in both directions; only a direct test sees a missing flip."""
    forward = torch.zeros(1, 1, 8)
    forward[..., 2] = 1
    merged = merge_directions(torch.cat([forward, forward.flip(-1)]), "mean")
    assert merged[0, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]


def test_a_reversed_spectrum_gives_reversed_concatenated_latents():
    model, x = denoiser(), spectra()
    forward, backward = model.latents(x, "enc_last", "concat").chunk(2, 1)
    mirrored, other = model.latents(x.flip(-1), "enc_last", "concat").chunk(2, 1)
    torch.testing.assert_close(mirrored, backward.flip(-1))
    torch.testing.assert_close(other, forward.flip(-1))


def test_flux_scale_changes_the_working_point_and_not_the_unit():
    plain, scaled = denoiser(), denoiser(flux_scale=10.0)
    x = spectra()
    torch.testing.assert_close(scaled(x), plain(10 * x) / 10)


def test_head_starts_where_it_is_told():
    torch.manual_seed(0)
    model = BlindSpotDenoiser(BlindSpotConfig(**SMALL, flux_scale=20.0))
    start_head(model, mu=1.0, mu_spread=0.1, sigma=0.05)
    mu, sigma = model(spectra(8).float()).unbind(1)
    assert mu.mean().item() == pytest.approx(1.0, abs=0.05)
    assert sigma.mean().item() == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"kernel_size": 24}, "even kernel"), ({"num_layers": 1}, "num_layers is 1"), ({"embed_dim": 0}, "embed_dim is 0"),
     ({"flux_scale": 0.0}, "positive"), ({"num_layers": 2.0}, "whole number")],
)  # fmt: skip
def test_config_rejects_what_would_break_the_blind_spot(wrong, says):
    with pytest.raises(ValueError, match=says):
        BlindSpotConfig(**wrong)


def test_denoiser_rejects_short_spectra_and_wrong_shapes():
    model = denoiser()
    with pytest.raises(ValueError, match="7 pixels; 4 layers need 8 or more"):
        model(spectra(pixels=7))
    with pytest.raises(ValueError, match=r"expected \(B, 2, L\)"):
        model(torch.rand(2, 64))
    with pytest.raises(ValueError, match="no layer 'layer9'"):
        model.latents(spectra(), "layer9")
    with pytest.raises(ValueError, match="direction 'sum'"):
        model.latents(spectra(), direction="sum")


@pytest.mark.parametrize("kind", ["safetensors", "lightning", "plain"])
def test_pretrained_weights_come_back_with_equal_outputs(tmp_path, kind):
    model, path = denoiser().float(), tmp_path / f"net.{'safetensors' if kind == 'safetensors' else 'ckpt'}"
    if kind == "safetensors":
        save_pretrained(model, path)
    elif kind == "lightning":
        state = {f"model.{name}": value for name, value in model.state_dict().items()}
        torch.save(
            {"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 5e-4}, "pytorch-lightning_version": "2.5"}, path
        )
    else:
        torch.save(model.state_dict(), path)
    again, x = load_pretrained(path), spectra().float()
    assert torch.equal(again(x), model(x))
    assert again.config == model.config
    assert not again.training


def test_flux_scale_survives_saving(tmp_path):
    model = denoiser(flux_scale=30.0).float()
    save_pretrained(model, tmp_path / "net.safetensors")
    assert json.loads((tmp_path / "net.json").read_text())["flux_scale"] == 30.0
    assert load_pretrained(tmp_path / "net.safetensors").config.flux_scale == 30.0


class Rude:
    """What a hostile checkpoint would hold: an object whose unpickling calls a function."""

    def __reduce__(self):
        return (print, ("ran",))


def test_checkpoint_that_runs_code_is_refused(tmp_path, capsys):
    torch.save({"state_dict": {}, "hyper_parameters": Rude()}, tmp_path / "rude.ckpt")
    with pytest.raises(ValueError, match=r"rude\.ckpt is no plain checkpoint"):
        load_pretrained(tmp_path / "rude.ckpt")
    assert capsys.readouterr().out == ""


def test_checkpoints_that_do_not_fit_are_refused_by_name(tmp_path):
    path = tmp_path / "net.ckpt"
    with pytest.raises(ValueError, match="There is no file"):
        load_pretrained(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="no plain checkpoint"):
        load_pretrained(path)
    torch.save({"vit.weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="no blind-spot denoiser"):
        load_pretrained(path)
    state = denoiser().state_dict()
    torch.save({name: value for name, value in state.items() if name != "decoders_a.1.bn.weight"}, path)
    with pytest.raises(ValueError, match=r"1 weights are absent or misshapen, first 'decoders_a\.1\.bn\.weight'"):
        load_pretrained(path)
