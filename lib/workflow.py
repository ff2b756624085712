"""What the Snakefile asks: which studies there are, what each depends on, and which marks no longer hold."""

from pathlib import Path

from lib import paths
from lib.config import read_params
from lib.sources import sources

EMBEDDED = {  # study -> what it reads from lib/data/embedded when the user brings no data
    "opamp_transfer": "opamp/**/*", "noise2noise": "*mni*", "vit_scaling": "*grid*", "latent_extraction": "*grid*", "mlp_head": "*grid*",
}  # fmt: skip
AFTER = {"mlp_head": "latent_extraction"}  # whose published model a study starts from, unless its params name a checkpoint
ASKED = ("cpus", "gpu", "mem_mb", "runtime")
DATA_PARAMETERS = ("data_dir", "train_path", "val_path", "test_path", "checkpoint")


def written() -> list[str]:
    """Return the studies whose notebook is there, in the collection's order."""
    return [s for s in paths.STUDIES if (paths.NOTEBOOKS / f"{s}.ipynb").is_file()]


def check(study: str, profile: str) -> None:
    """Refuse an unknown study; take back marks whose results or page are gone."""
    if study not in written():
        raise ValueError(f"There is no study '{study}': the studies are {', '.join(written())}.")
    build = paths.BUILD / profile / study
    results, pages = build / "results.json", [paths.REPORTS / profile / name for name in (f"{study}.html", "index.html")]
    if not results.is_file():
        (build / "executed.stamp").unlink(missing_ok=True)
    if not all(file.is_file() for file in (results, *pages)):  # Snakemake alone would not miss what lies between
        (build / "rendered.stamp").unlink(missing_ok=True)


def seeds(count: int | str) -> list[int]:
    """Return the seeds of `count` runs beyond the first, which keeps the seed of its params file."""
    if not str(count).isdigit() or int(count) < 1:
        raise ValueError(f"SEEDS is {count!r}, but it should be a whole number of at least 1.")
    return list(range(1, int(count)))


def asked(profile: str) -> dict[str, int]:
    """Return what a job asks of Slurm: cpus, gpu, mem_mb, runtime (minutes)."""
    file = paths.PARAMS / profile / "slurm.yaml"
    values = read_params(file)
    if set(values) != set(ASKED) or not all(type(v) is int and v >= 0 for v in values.values()):
        raise ValueError(f"{file} should hold {', '.join(ASKED)}, each a whole number.")
    return {k: v for k, v in values.items() if k != "gpu" or v}


def inputs(study: str, profile: str) -> list[str]:
    """Return what a study's results depend on: notebook, params, lib modules with their tables, and data."""
    params = paths.PARAMS / profile / f"{study}.yaml"
    modules = sources(paths.NOTEBOOKS / f"{study}.py")
    files = [paths.NOTEBOOKS / f"{study}.ipynb", params, *(m for m in modules if m.parent != paths.NOTEBOOKS)]
    folders = {m.parent for m in modules} - {paths.NOTEBOOKS}
    tables = ("*.mplstyle", "reported.yaml", "glossary/general.yaml", f"glossary/{study}.yaml")
    files += [f for d in folders for p in tables for f in d.glob(p)]
    files += [*_data(study, params), *_before(study, profile, params)]
    return [str(f.relative_to(paths.ROOT)) if f.is_relative_to(paths.ROOT) else str(f) for f in files]


def _before(study: str, profile: str, params: Path) -> list[Path]:
    """Return the mark of the study that must run first."""
    values = read_params(params) if params.is_file() else {}
    return [paths.BUILD / profile / AFTER[study] / "executed.stamp"] if study in AFTER and not values.get("checkpoint") else []


def _data(study: str, params: Path) -> list[Path]:
    values = read_params(params) if params.is_file() else {}
    named = [values[k] for k in DATA_PARAMETERS if values.get(k)]
    given = [paths.resolve(name) for names in named for name in (names if isinstance(names, list) else [names])]
    if not given:
        return sorted(f for f in paths.EMBEDDED.glob(EMBEDDED[study]) if f.is_file()) if study in EMBEDDED else []
    return [f for g in given for f in (sorted(g.rglob("*")) if g.is_dir() else [g]) if f.is_file()]


def render_sources() -> list[str]:
    """Return the files that turn an executed notebook into a page."""
    folder = paths.ROOT / "lib" / "render"
    return [str(f.relative_to(paths.ROOT)) for f in sorted(folder.iterdir()) if f.is_file()]
