"""python -m lib.studies.latent_extraction denoise --model DIR --in FILE --out FILE | pretrain --params FILE --out DIR"""

import argparse
import sys
from pathlib import Path

from lib import paths
from lib import runtime as rt
from lib.commands import end
from lib.files import check_output
from lib.steps.denoiser import pretrain_denoiser
from lib.studies.latent_extraction.artifact import denoise_file
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.sets import denoiser_spec, prepare


def denoise(chosen: argparse.Namespace) -> None:
    """Denoise a file of spectra (see `denoise_file`)."""
    check_output(chosen.output, chosen.input)
    with rt.fitting_in_memory("use --device cpu"):
        denoise_file(chosen.model, chosen.input, chosen.output, rt.choose_device(chosen.device))


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
