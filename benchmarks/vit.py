"""One training step of SpectrumViT against the Hugging Face ViT of the same size: same run, weights and outputs.

Run `python -m benchmarks.vit [--device cuda] [--batch 32] [--repeats 5]`; it needs the extra `bench` (transformers).
Peak memory is PyTorch's allocator on a GPU and, on a CPU, the resident set's growth in a fresh process per variant.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, replace

import torch
from torch import nn

from lib.models.vit import SpectrumViT, ViTConfig, flops, peak_tflops

TURNS = 3


class EncoderOnTokens(nn.Module):
    """The Hugging Face encoder and its last LayerNorm, on tokens (B, N, D)."""

    def __init__(self, vit: nn.Module):
        super().__init__()
        self.vit = vit

    def forward(self, tokens):
        layers = self.vit.layers if hasattr(self.vit, "layers") else self.vit.encoder.layer
        for layer in layers:
            tokens = layer(tokens)
            tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        return self.vit.layernorm(tokens)


def hugging_face_encoder(transformers, config: ViTConfig) -> tuple[EncoderOnTokens, SpectrumViT]:
    """Return the library's encoder and ours with its weights copied, both in evaluation mode."""
    theirs = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=config.hidden_size, num_hidden_layers=config.num_layers, num_attention_heads=config.num_heads,
            intermediate_size=config.mlp_size, hidden_dropout_prob=config.dropout, qkv_bias=True,
            layer_norm_eps=config.layer_norm_eps, attn_implementation="sdpa",
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    ours = SpectrumViT(config)
    ours.norm.load_state_dict(theirs.layernorm.state_dict())
    layers = theirs.layers if hasattr(theirs, "layers") else theirs.encoder.layer
    for block, layer in zip(ours.blocks, layers, strict=True):
        _copy_block(block, {name: module for name, module in layer.named_modules() if not any(module.children())})
    return EncoderOnTokens(theirs).eval(), ours.eval()


def _copy_block(block: nn.Module, leaves: dict[str, nn.Module]) -> None:
    """Copy a library block into ours by the order of its leaves, whose names differ between versions."""
    linears = [m for m in leaves.values() if isinstance(m, nn.Linear)]
    norms = [m for m in leaves.values() if isinstance(m, nn.LayerNorm)]
    query, key, value, out, up, down = linears
    block.attention.qkv.weight.data = torch.cat([m.weight.data for m in (query, key, value)])
    block.attention.qkv.bias.data = torch.cat([m.bias.data for m in (query, key, value)])
    for mine, its in zip((block.attention.out, block.mlp[0], block.mlp[2]), (out, up, down), strict=True):
        mine.load_state_dict(its.state_dict())
    block.norm_attention.load_state_dict(norms[0].state_dict())
    block.norm_mlp.load_state_dict(norms[1].state_dict())


class WholeModel(nn.Module):
    """Tokens, the library's encoder and the head of ours: the same function of flux as SpectrumViT."""

    def __init__(self, encoder: EncoderOnTokens, ours: SpectrumViT):
        super().__init__()
        self.encoder, self.ours = encoder, ours

    def forward(self, flux):
        return self.ours.head(self.ours.pooled(self.encoder(self.ours.embed(flux))))


def variant(name: str, config: ViTConfig, device: torch.device) -> nn.Module:
    """Return `library`, `ours` or `ours compiled` on a device, all with equal weights for equal seeds."""
    import transformers

    torch.manual_seed(0)
    encoder, ours = hugging_face_encoder(transformers, config)
    model = (WholeModel(encoder, ours) if name == "library" else ours).to(device)
    return torch.compile(model) if name == "ours compiled" else model


def training_step(model: nn.Module, flux: torch.Tensor, optimiser: torch.optim.Optimizer, precision: str) -> None:
    """Take one AdamW step on a squared loss; `bf16` runs the forward pass under autocast."""
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast(flux.device.type, torch.bfloat16, enabled=precision == "bf16"):
        loss = model(flux).float().square().mean()
    loss.backward()
    optimiser.step()


def measure(name: str, config: ViTConfig, device: str, batch: int, repeats: int, precision: str) -> dict:
    """Return seconds per training step (on a CPU: processor seconds of one thread), peak memory in MiB and outputs of a variant."""
    target = torch.device(device)
    clock = time.perf_counter if target.type == "cuda" else time.process_time
    torch.set_num_threads(1)
    model = variant(name, config, target)
    flux = torch.randn(batch, config.input_length, generator=torch.Generator().manual_seed(1)).to(target)
    with torch.no_grad():
        outputs = model.eval()(flux[:8]).flatten().tolist()
    optimiser, times = torch.optim.AdamW(model.train().parameters(), 3e-4), []
    for _ in range(repeats + 2):
        start = clock()
        training_step(model, flux, optimiser, precision)
        if target.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    gpu = target.type == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": min(times[2:]), "peak_mib": peak, "outputs": outputs}


def rows(config: ViTConfig, device: str, batch: int, repeats: int, precision: str) -> list[dict]:
    """Return one row per variant, measured by turns in fresh processes of the same run, with ratios against the library."""
    names = ["library", "ours"] + (["ours compiled"] if device.startswith("cuda") else [])
    call = {"config": asdict(config), "device": device, "batch": batch, "repeats": repeats, "precision": precision}
    turns = [{name: _in_process(call | {"name": name}) for name in names} for _ in range(TURNS)]
    found = {name: min((turn[name] for turn in turns), key=lambda got: got["seconds"]) for name in names}
    base, table = found["library"], []
    for name, got in found.items():
        apart = max(abs(a - b) for a, b in zip(got["outputs"], base["outputs"], strict=True))
        rate, work = batch / got["seconds"], flops(config)["training"] / 1e12
        peak = peak_tflops(torch.device(device))
        table.append(
            {
                "what": f"ViT training step, {precision}, batch {batch}: {name} against Hugging Face",
                "ratio": round(base["seconds"] / got["seconds"], 3),
                "memory_ratio": round(got["peak_mib"] / base["peak_mib"], 3),
                "samples_per_s": round(rate, 1),
                "peak_mib": round(got["peak_mib"]),
                "max_difference": apart,
                "fraction_of_peak": round(rate * work / peak, 3) if peak else None,
            }
        )
    return table


def _in_process(call: dict) -> dict:
    code = "import json, sys; from benchmarks.vit import one; print(json.dumps(one(json.loads(sys.argv[1]))))"
    done = subprocess.run([sys.executable, "-c", code, json.dumps(call)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def one(call: dict) -> dict:
    """Measure the variant that a JSON call describes."""
    config = ViTConfig(**call["config"])
    return measure(call["name"], config, call["device"], call["batch"], call["repeats"], call["precision"])


def main(device: str = "cpu", batch: int = 8, repeats: int = 3) -> list[dict]:
    """Compare at p16 h256 L6 in fp32 and bf16; no rows where transformers is not installed."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        return []
    config = replace(ViTConfig(), dropout=0.0)
    return [row for precision in ("fp32", "bf16") for row in rows(config, device, batch, repeats, precision)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    for line in main(**vars(parser.parse_args())):
        print(line)
