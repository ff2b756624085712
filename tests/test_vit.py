"""The Vision Transformer against an independent plain implementation, known sizes, and refusals."""

import math
import warnings

import pytest
import torch
from torch.nn import functional as F

from lib.models.layers import Attention, AttentionPool
from lib.models.vit import (
    SpectrumViT,
    ViTConfig,
    flops,
    load_pretrained,
    parameter_table,
    save_pretrained,
    shape_trace,
)

SMALL = {"input_length": 64, "patch_size": 8, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "dropout": 0.0}
LINEARS = (
    "attention.attention.query",
    "attention.attention.key",
    "attention.attention.value",
    "attention.output.dense",
)


def original_state(tokenizer="C1D", positions=True, L=64, P=8, D=32, layers=2, seed=0):
    """Return random weights under the names and shapes of the original MyViT, its unused pooler included."""
    shapes = {"vit.embeddings.cls_token": (1, 1, D), "vit.pooler.dense.weight": (D, D), "vit.pooler.dense.bias": (D,)}
    if positions:
        shapes["vit.embeddings.position_embeddings"] = (1, L // P + 1, D)
    linears = {"vit.embeddings.patch_embeddings.projection": (D, 1, P) if tokenizer == "C1D" else (D, P)}
    norms = ["vit.layernorm"]
    for i in range(layers):
        block = f"vit.encoder.layer.{i}."
        linears |= {block + name: (D, D) for name in LINEARS}
        linears |= {block + "intermediate.dense": (4 * D, D), block + "output.dense": (D, 4 * D)}
        norms += [block + "layernorm_before", block + "layernorm_after"]
    for name, shape in (linears | {"regressor": (1, D)} | dict.fromkeys(norms, (D,))).items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    g = torch.Generator().manual_seed(seed)
    return {name: 0.3 * torch.randn(shape, generator=g) for name, shape in shapes.items()}


def plain_vit(state, flux, heads, rope):
    """Compute the original's output star by star with explicit softmax: written from the papers, sharing no code."""

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-12) * state[f"{name}.weight"] + state[f"{name}.bias"]
        )

    def turn(x):  # (N, d): pairs (j, j + d/2) are complex numbers, turned by token * 1e4^(-2j/d)
        half = x.shape[1] // 2
        speed = torch.tensor([1e4 ** (-2 * j / x.shape[1]) for j in range(half)])
        turned = torch.complex(x[:, :half], x[:, half:])
        turned = turned * torch.polar(torch.ones(len(x), half), torch.arange(len(x))[:, None] * speed)
        return torch.cat([turned.real, turned.imag], dim=1)

    def attend(q, k, v):
        scores = torch.exp(q @ k.T / math.sqrt(q.shape[1]))
        return scores / scores.sum(1, keepdim=True) @ v

    def star(spectrum):
        projection = "vit.embeddings.patch_embeddings.projection"
        weight = state[f"{projection}.weight"].flatten(1)
        x = spectrum.reshape(-1, weight.shape[1]) @ weight.T + state[f"{projection}.bias"]
        x = torch.cat([state["vit.embeddings.cls_token"][0], x]) + state.get("vit.embeddings.position_embeddings", [0])[0]
        for i in range(sum(name.endswith("layernorm_before.bias") for name in state)):
            block, width = f"vit.encoder.layer.{i}.", x.shape[1] // heads
            y = norm(x, block + "layernorm_before")
            q, k, v = (linear(y, block + name).split(width, dim=1) for name in LINEARS[:3])
            if rope:
                q, k = [turn(part) for part in q], [turn(part) for part in k]
            mixed = torch.cat([attend(*head) for head in zip(q, k, v, strict=True)], dim=1)
            x = x + linear(mixed, block + "attention.output.dense")
            y = linear(norm(x, block + "layernorm_after"), block + "intermediate.dense")
            x = x + linear(0.5 * y * (1 + torch.erf(y / math.sqrt(2))), block + "output.dense")
        return linear(norm(x, "vit.layernorm")[0], "regressor")

    return torch.stack([star(spectrum) for spectrum in flux])


@pytest.mark.parametrize("tokenizer", ["C1D", "SW"])
@pytest.mark.parametrize("encoding", ["learned", "rope", "none"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_original_weights_give_the_original_outputs(tmp_path, tokenizer, encoding, prefix):
    state = original_state(tokenizer, positions=encoding == "learned")
    path = tmp_path / "original.ckpt"
    torch.save({"state_dict": {prefix + name: value for name, value in state.items()}}, path)
    told = {} if encoding == "learned" else {"pos_encoding": encoding, "input_length": 64}
    model = load_pretrained(path, num_heads=4, **told)
    flux = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(model(flux), plain_vit(state, flux, 4, encoding == "rope"), atol=1e-5)
    assert model.config.tokenizer == tokenizer


def test_the_parity_check_would_notice_lost_positions(tmp_path):
    state = original_state()
    torch.save(state, tmp_path / "a.pt")
    model, flux = load_pretrained(tmp_path / "a.pt", num_heads=4), torch.randn(2, 64)
    with torch.no_grad():
        assert torch.allclose(model(flux), plain_vit(state, flux, 4, False), atol=1e-5)
        del state["vit.embeddings.position_embeddings"]
        assert not torch.allclose(model(flux), plain_vit(state, flux, 4, False), atol=1e-2)


@pytest.mark.parametrize("change", [{"vit.preprocessor.weight": torch.ones(2)}, {"regressor.weight": None}])
def test_a_file_of_another_model_is_refused(tmp_path, change):
    state = {name: value for name, value in (original_state() | change).items() if value is not None}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"preprocessor|regressor\.weight"):
        load_pretrained(tmp_path / "a.pt", num_heads=4)


def test_missing_positions_must_be_named(tmp_path):
    torch.save(original_state(positions=False), tmp_path / "a.pt")
    with pytest.raises(ValueError, match="'rope' or 'none'"):
        load_pretrained(tmp_path / "a.pt", num_heads=4)
    torch.save(original_state(), tmp_path / "b.pt")
    with pytest.raises(ValueError, match="learned"):
        load_pretrained(tmp_path / "b.pt", num_heads=4, pos_encoding="rope")


@pytest.mark.parametrize("change", [{}, {"pooling": "attention", "pos_encoding": "rope"}, {"predict_sigma": True}])
def test_our_own_file_restores_config_scaling_and_outputs(tmp_path, change):
    model = SpectrumViT(ViTConfig(**SMALL | change), seed=3).eval()
    model.set_input_scaling(torch.full((64,), 0.5), torch.full((64,), 2.0))
    save_pretrained(model, tmp_path / "model.safetensors")
    again, flux = load_pretrained(tmp_path / "model.safetensors"), torch.randn(2, 64)
    assert again.config == model.config
    assert torch.equal(again(flux), model(flux))


def test_the_documents_configuration_has_4809729_parameters_whichever_tokenizer():
    for tokenizer in ("C1D", "SW"):
        model = SpectrumViT(ViTConfig(tokenizer=tokenizer))
        table = parameter_table(model).set_index("component")
        assert sum(p.numel() for p in model.parameters()) == 4_809_729
        assert table.parameters.drop("total").sum() == table.parameters["total"] == 4_809_729
        assert table.per_block["feed-forward"] == 525_568


def test_flops_agree_with_a_count_by_hand():
    L, N, D, layers = 4096, 257, 256, 6
    block = 2 * N * D * (3 * D + D + 8 * D) + 4 * N * N * D
    by_hand = 2 * L * D + layers * block + 2 * D
    assert flops(ViTConfig())["forward"] == pytest.approx(by_hand, rel=1e-6)
    assert flops(ViTConfig(), batch_size=2)["training"] == pytest.approx(6 * by_hand, rel=0.01)


def test_shape_trace_follows_the_documents_tensors():
    trace = shape_trace(ViTConfig()).set_index("module")
    assert trace.output["tokenizer"] == "(256, 256, 256)"
    assert trace.output["blocks.0.attention.qkv"] == "(256, 257, 768)"
    assert trace.output["head"] == "(256, 1)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch_size": 100}, "larger than the spectrum of 64"),
        ({"patch_size": 17}, "patch_size 16"),
        ({"stride": 9}, "pixels are skipped"),
        ({"stride": 5}, r"leave 1 of 64.*stride 4"),
        ({"num_heads": 5}, "not divisible by num_heads 5"),
        ({"hidden_size": 12, "pos_encoding": "rope"}, "even"),
        ({"tokenizer": "conv"}, "C1D, SW"),
        ({"dropout": 1.0}, r"\[0, 1\)"),
        ({"num_layers": 0}, "at least 1"),
    ],
)
def test_vit_rejects_contradictions_by_name(change, words):
    with pytest.raises(ValueError, match=words):
        ViTConfig(**SMALL | change)


def test_wrong_pixel_count_is_a_sentence():
    with pytest.raises(ValueError, match=r"\(B, 64\), got \(2, 60\)"):
        SpectrumViT(ViTConfig(**SMALL))(torch.zeros(2, 60))


def test_overlapping_patches_see_every_pixel():
    config = ViTConfig(**SMALL | {"stride": 4})
    flux = torch.randn(1, 64, requires_grad=True)
    SpectrumViT(config).eval()(flux).sum().backward()
    assert config.n_patches == 15
    assert (flux.grad != 0).all()


def test_tokenizers_compute_the_same_projection():
    conv, linear = (SpectrumViT(ViTConfig(**SMALL | {"tokenizer": t})).tokenizer for t in ("C1D", "SW"))
    linear.projection.weight.data = conv.projection.weight.data[:, 0]
    linear.projection.bias.data = conv.projection.bias.data
    flux = torch.randn(2, 64)
    assert torch.allclose(conv(flux), linear(flux), atol=1e-6)


def test_reference_initialisation_drowns_patches_in_positions_and_trunc02_does_not():
    flux = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    ratio = {}
    for init in ("trunc02", "reference"):
        model = SpectrumViT(ViTConfig(**SMALL | {"tokenizer": "SW", "init": init})).eval()
        ratio[init] = (model.positions.std() / model.tokenizer(flux).std()).item()
    assert ratio["trunc02"] < 1
    assert ratio["reference"] > 10


def test_initialisation_depends_on_the_seed_alone():
    first = SpectrumViT(ViTConfig(**SMALL), seed=5).state_dict()
    torch.manual_seed(99)
    again, other = (SpectrumViT(ViTConfig(**SMALL), seed=s).state_dict() for s in (5, 6))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("rope", [None, 9])
def test_attention_weights_reproduce_the_fused_attention(rope):
    attention, x = Attention(16, 4, rope_tokens=rope), torch.randn(2, 9, 16)
    weights = attention.weights(x)
    v = attention.project(x)[2]
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 9), atol=1e-6)
    assert torch.allclose(attention.out((weights @ v).transpose(1, 2).flatten(2)), attention(x), atol=1e-5)


def test_rope_scores_depend_on_the_distance_only():
    attention = Attention(8, 1, rope_tokens=12)
    q, k, _ = attention.project(torch.randn(1, 1, 8).expand(1, 12, 8))
    scores = (q @ k.mT)[0, 0]
    assert torch.allclose(scores[0, 3], scores[7, 10], atol=1e-5)
    assert not torch.allclose(scores[0, 3], scores[0, 9], atol=1e-4)


def test_without_positions_patches_may_be_shuffled():
    flux = torch.randn(2, 64)
    shuffled = flux.reshape(2, 8, 8).flip(1).reshape(2, 64)
    for encoding, same in (("none", True), ("learned", False)):
        model = SpectrumViT(ViTConfig(**SMALL | {"pos_encoding": encoding, "init": "reference"})).eval()
        assert torch.allclose(model(flux), model(shuffled), atol=1e-5) == same


def test_attention_pool_starts_as_the_mean_and_then_prefers_what_it_asks_for():
    pool, x = AttentionPool(4), torch.randn(3, 5, 4)
    assert torch.allclose(pool(x), x.mean(1), atol=1e-6)
    pool.query.data = 500 * F.one_hot(torch.tensor(0), 4).float()
    assert torch.allclose(pool(x)[:, 0], x[:, :, 0].amax(1), atol=0.05)


@pytest.mark.parametrize("pooling", ["cls", "mean", "attention"])
def test_patch_attention_is_one_curve_per_layer_over_wavelength(pooling):
    model = SpectrumViT(ViTConfig(**SMALL | {"pooling": pooling})).eval()
    curve = model.patch_attention(torch.randn(3, 64))
    assert curve.shape == (3, 2, 8)
    assert (curve.sum(-1) <= 1 + 1e-5).all()


@pytest.mark.parametrize("tokenizer", ["C1D", "SW"])
def test_both_tokenizers_learn_a_line_depth(tokenizer):
    g = torch.Generator().manual_seed(0)
    depth = torch.rand(256, 1, generator=g)
    flux = 1 - depth * torch.exp(-((torch.arange(64) - 30.0) ** 2) / 8) + 0.05 * torch.randn(256, 64, generator=g)
    model = SpectrumViT(ViTConfig(**SMALL | {"tokenizer": tokenizer}))
    model.set_input_scaling(flux.mean(0), flux.std(0))
    optimiser, target = torch.optim.AdamW(model.parameters(), 2e-3), (depth - depth.mean()) / depth.std()
    for _ in range(120):
        optimiser.zero_grad()
        F.mse_loss(model(flux), target).backward()
        optimiser.step()
    assert F.mse_loss(model.eval()(flux), target) < 0.2


def test_equal_to_the_hugging_face_vit_of_the_same_size():
    transformers = pytest.importorskip("transformers")
    from benchmarks.vit import hugging_face_encoder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = hugging_face_encoder(transformers, ViTConfig(**SMALL))
    x = tokens = torch.randn(2, 9, 32)
    with torch.no_grad():
        for block in ours.blocks:
            x = block(x)
        assert torch.allclose(theirs(tokens), ours.norm(x), atol=1e-5)
