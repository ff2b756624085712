"""Command line: denoise a file, check data, diagnose configurations, train the points of a run part by part."""

import argparse
import sys

from lib.commands import end
from lib.data.images.files import SUFFIXES
from lib.runtime import choose_device, rank, start
from lib.studies.noise2noise import experiments
from lib.studies.noise2noise.arms import points
from lib.studies.noise2noise.artifact import denoise_file
from lib.studies.noise2noise.config import Config
from lib.studies.noise2noise.diagnose import diagnose, report


def parser():
    """Return the argument parser."""
    main = argparse.ArgumentParser(prog="python -m lib.studies.noise2noise", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    denoise = commands.add_parser("denoise", help="apply a trained model to a file")
    denoise.add_argument("--model", required=True, help="folder with model.json and weights.safetensors")
    denoise.add_argument("--in", dest="source", required=True, help=f"{', '.join(SUFFIXES)} or fastMRI's .h5")
    denoise.add_argument("--out", required=True, help=f"the file to write: {', '.join(SUFFIXES)}")
    denoise.add_argument("--domain", default="a", help="contrast that the file shows: a (first, default) or b")
    denoise.add_argument("--to", default="", help="contrast wanted: a or b (default: the other one, the trained path)")
    denoise.add_argument("--device", default="auto")
    check = commands.add_parser("check", help="read and check the data of a params file, train nothing")
    diagnosis = commands.add_parser("diagnose", help="train what the run cache lacks, print case and remedy")
    listed = commands.add_parser("points", help="list the trainings of a run")
    run = commands.add_parser("run", help="train points into the run cache, where the notebook finds them")
    for command in (check, diagnosis, listed, run):
        command.add_argument("--params", required=True, help="a params file, such as params/quick/noise2noise.yaml")
        command.add_argument("--data", default=None, help="data_dir instead of the file's")
    run.add_argument("--part", default="1/1", help="K/N: the K-th of N shares, for N jobs")
    return main


def main(argv=None):
    """Run one command and return the text that it says."""
    given = parser().parse_args(argv)
    if given.command == "denoise":
        device = choose_device(given.device)
        shape = denoise_file(given.model, given.source, given.out, domain=given.domain, to=given.to, device=device)
        return f"{given.out}: {' x '.join(str(n) for n in shape)}"
    config = Config.load(given.params)
    if given.data is not None:
        config = Config.checked(config.model_dump() | {"data_dir": given.data})
    data = experiments.prepare(config)
    if given.command == "check":
        images = data.images
        head = f"{images.name} ({images.source}): {len(images)} slices of {images.a.shape[1]} x {images.a.shape[2]} pixels, "
        return f"{head}contrasts {' and '.join(images.contrasts)}\n{data.table().to_string(index=False)}"
    if given.command == "points":
        return points(config).drop(columns="point").to_string()
    runtime = start(config)
    return _diagnose(config, data, runtime) if given.command == "diagnose" else _run(config, data, runtime, given.part)


def _diagnose(config, data, runtime):
    only = config.model_copy(update={name: [] for name in Config.model_fields if name.startswith("sweep_")})
    trained = experiments.train(only, data, runtime)
    return report(diagnose(trained, experiments.scores(trained, data, runtime), data, experiments.train_floor(config, data)))


def _run(config, data, runtime, part):
    """Train a share of the distinct points, long ones spread evenly."""
    k, n = _part(part)
    distinct = sorted(set(points(config).point), key=lambda p: (-p.recipe.epochs, repr(p)))
    share = distinct[k - 1 :: n]
    found = [experiments.train_one(config, p, data, runtime) for p in share]
    if rank():
        return ""
    seconds = sum(trained.seconds for trained in found)
    return f"{len(share)} of {len(distinct)} trainings, {seconds:.0f} s"


def _part(text):
    numbers = text.split("/")
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers) or not 1 <= int(numbers[0]) <= int(numbers[1]):
        raise ValueError(f"--part is {text!r}: write K/N such as 2/8, K between 1 and N")
    return int(numbers[0]), int(numbers[1])


if __name__ == "__main__":
    sys.exit(end(lambda: sys.stdout.write(main() + "\n")))
