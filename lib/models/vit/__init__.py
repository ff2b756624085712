"""A Vision Transformer on spectra: `network` the model, `pretrained` its files, `anatomy` its sizes and costs."""

from lib.models.vit.anatomy import flops, parameter_table, peak_tflops, shape_trace
from lib.models.vit.network import SpectrumViT, ViTConfig
from lib.models.vit.pretrained import load_pretrained, save_pretrained

__all__ = [
    "SpectrumViT",
    "ViTConfig",
    "flops",
    "load_pretrained",
    "parameter_table",
    "peak_tflops",
    "save_pretrained",
    "shape_trace",
]
