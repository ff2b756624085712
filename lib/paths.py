"""The one file that knows the tree."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PARAMS = ROOT / "params"
BUILD = ROOT / "build"
RUNS = ROOT / "runs"
REPORTS = ROOT / "reports"
EMBEDDED = ROOT / "lib" / "data" / "embedded"

# never a place for results
CODE = ("lib", "notebooks", "params", "tests", "scripts", "tools", "docs", "benchmarks", ".git", ".venv")
ORDER = ("latent_extraction", "mlp_head", "vit_scaling", "opamp_transfer", "noise2noise")  # others come after them
STUDIES = tuple(sorted((f.stem for f in NOTEBOOKS.glob("*.py")), key=lambda study: ((*ORDER, study).index(study), study)))


def resolve(path: str | Path) -> Path:
    """Return `path` as absolute; a relative one counts from the repository root, wherever the process was started."""
    return (ROOT / Path(path).expanduser()).resolve()


def results(path: str | Path) -> Path:
    """Return a results folder as absolute; ValueError where it is the repository, holds it, or lies in its code."""
    found = resolve(path)
    if ROOT.is_relative_to(found) or any(found.is_relative_to(ROOT / name) for name in CODE):
        raise ValueError(f"Parameter 'out_dir' is '{path}', where the project itself lives: name a folder of its own.")
    return found
