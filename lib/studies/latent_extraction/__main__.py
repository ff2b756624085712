"""python -m lib.studies.latent_extraction denoise --model DIR --in FILE --out FILE | pretrain --params FILE --out DIR"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import torch

from lib import denoising, paths
from lib import runtime as rt
from lib.commands import end
from lib.data.spectra.layout import FLUX, blocks, check_shapes, opened, read_wave
from lib.data.units import check_units
from lib.files import check_output, replacing
from lib.models.blindspot import BlindSpotDenoiser, load_pretrained
from lib.steps.denoiser import pretrain_denoiser
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.experiments import denoiser_spec, prepare

ROWS = 256  # spectra denoised at a time
WRITTEN = ("flux", "error", "mu", "sigma")


def denoise(chosen: argparse.Namespace) -> None:
    """Denoise a file of the documents' layout: posterior flux and error in place of the noisy, mu and sigma beside them."""
    check_output(chosen.output, chosen.input)
    denoiser = load_pretrained(denoiser_file(chosen.model)).to(rt.choose_device(chosen.device))
    with rt.fitting_in_memory("use --device cpu"), opened(chosen.input) as source:
        check_shapes(source)
        with replacing(chosen.output) as temporary, h5py.File(temporary, "w") as target:
            for name in source:
                if name != "dataset":
                    source.copy(name, target)
            copy_tables(source["dataset"], target.create_group("dataset"))
            out = {n: target.create_dataset(f"dataset/arrays/{n}/value", source[FLUX].shape, "f4") for n in WRITTEN}
            for rows, found in denoised_blocks(source, denoiser):
                for name, values in zip(WRITTEN, (found.flux, found.sd, found.mu, found.sigma), strict=True):
                    out[name][rows] = values.cpu().numpy()


def denoiser_file(model: Path) -> Path:
    """Return the weights in a published model folder, or the file itself."""
    return model / denoising.WEIGHTS if model.is_dir() else model


def copy_tables(source: h5py.Group, target: h5py.Group) -> None:
    """Copy what lies beside the arrays, such as the table of labels."""
    for name in source:
        if name != "arrays":
            source.copy(name, target)


def denoised_blocks(source: h5py.File, denoiser: BlindSpotDenoiser) -> Iterator[tuple[slice, denoising.Denoised]]:
    """Read, check and denoise block by block, so that memory stays bounded."""
    device = next(denoiser.parameters()).device
    wave = read_wave(source)
    check_units({"wave": wave}, source.filename)
    pixels = len(wave)
    if pixels < denoiser.config.min_length:
        raise ValueError(f"{source.filename}: {pixels} pixels; the denoiser needs {denoiser.config.min_length}.")
    for rows, parts in blocks(source, ROWS):
        yield rows, denoising.denoise(denoiser, *(torch.from_numpy(part).to(device) for part in parts))


def pretrain(chosen: argparse.Namespace) -> None:
    """Pretrain a denoiser into a folder; started by torchrun, every process takes its share of the spectra."""
    config = LatentExtractionConfig.load(chosen.params)
    runtime = rt.start(config)
    chosen.out.mkdir(parents=True, exist_ok=True)
    pretrain_denoiser.compute(denoiser_spec(config, prepare(config, runtime)), chosen.out, runtime)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.studies.latent_extraction", description="Blind-spot denoiser: commands."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("denoise", help="denoise an HDF5 file of spectra")
    one.add_argument("--model", type=Path, required=True, help="published model folder, or a checkpoint file")
    one.add_argument("--in", dest="input", type=Path, required=True)
    one.add_argument("--out", dest="output", type=Path, required=True)
    one.add_argument("--device", default="auto")
    one.set_defaults(run=denoise)
    two = commands.add_parser("pretrain", help="pretrain a denoiser into a folder, also under torchrun")
    two.add_argument("--params", type=Path, default=paths.PARAMS / "quick" / "latent_extraction.yaml")
    two.add_argument("--out", type=Path, required=True)
    two.set_defaults(run=pretrain)
    chosen = parser.parse_args(arguments)
    return end(lambda: chosen.run(chosen))


if __name__ == "__main__":
    sys.exit(main())
