"""What the Snakefile asks: which studies there are, what each depends on, and which marks no longer hold."""

from pathlib import Path

from lib import paths
from lib.config import read_params
from lib.sources import sources

EMBEDDED = {  # module of lib/data -> what it reads from lib/data/embedded, where the user brings no data
    "opamp.py": "opamp/**/*", "topology.py": "opamp/*.cir", "images/contrasts.py": "*mni*", "grid.py": "*grid*", "sky.py": "airglow.csv",
}  # fmt: skip
AFTER = {"mlp_head": "latent_extraction"}  # whose published model a study starts from, unless its params name a checkpoint
ASKED = ("cpus", "gpu", "mem_mb", "runtime")
DATA_PARAMETERS = ("data_dir", "train_path", "val_path", "test_path", "checkpoint")


def written(profile: str) -> list[str]:
    """Return the studies that a profile has: notebook and params are there; in the collection's order."""
    needed = {s: (paths.NOTEBOOKS / f"{s}.ipynb", paths.PARAMS / profile / f"{s}.yaml") for s in paths.STUDIES}
    return [s for s, files in needed.items() if all(f.is_file() for f in files)]


def check(study: str, profile: str) -> None:
    """Refuse an unknown study; take back marks whose results or page are gone."""
    if study not in written(profile):
        there = ", ".join(written(profile))
        raise ValueError(f"There is no study '{study}' with profile '{profile}': the studies are {there}.")
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
    """Return what a study's results depend on: notebook, ledger, params, lib modules with their tables, and data."""
    params = paths.PARAMS / profile / f"{study}.yaml"
    modules = sources(paths.NOTEBOOKS / f"{study}.py")
    ledger = paths.NOTEBOOKS.glob(f"claims/{study}.yaml")
    files = [paths.NOTEBOOKS / f"{study}.ipynb", *ledger, params, *(m for m in modules if m.parent != paths.NOTEBOOKS)]
    folders = {m.parent for m in modules} - {paths.NOTEBOOKS}
    tables = ("*.mplstyle", "reported.yaml", "sentences.yaml", "glossary/general.yaml", f"glossary/{study}.yaml")
    files += [f for d in folders for p in tables for f in d.glob(p)]
    files += [*_data(params, modules), *_before(study, profile, params)]
    return [str(f.relative_to(paths.ROOT)) if f.is_relative_to(paths.ROOT) else str(f) for f in files]


def _before(study: str, profile: str, params: Path) -> list[Path]:
    """Return the mark of the study that must run first."""
    values = read_params(params) if params.is_file() else {}
    return [paths.BUILD / profile / AFTER[study] / "executed.stamp"] if study in AFTER and not values.get("checkpoint") else []


def _data(params: Path, modules: list[Path]) -> list[Path]:
    values = read_params(params) if params.is_file() else {}
    named = [values[k] for k in DATA_PARAMETERS if values.get(k)]
    given = [paths.resolve(name) for names in named for name in (names if isinstance(names, list) else [names])]
    if not given:
        read = {p for module, p in EMBEDDED.items() if paths.ROOT / "lib" / "data" / module in modules}
        return sorted({f for p in read for f in paths.EMBEDDED.glob(p) if f.is_file()})
    return [f for g in given for f in (sorted(g.rglob("*")) if g.is_dir() else [g]) if f.is_file()]


def render_sources() -> list[str]:
    """Return the files that turn an executed notebook into a page."""
    folder = paths.ROOT / "lib" / "render"
    return [str(f.relative_to(paths.ROOT)) for f in sorted(folder.iterdir()) if f.is_file()]
