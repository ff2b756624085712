"""The project's own rules: arrows of import, no pickle, files that agree, sizes."""

import ast
import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement

from lib import paths
from lib.sources import sources

MODULES = sorted(paths.ROOT.glob("lib/**/*.py"))
LOWEST = {
    "config", "paths", "files", "metrics", "progress", "sources", "commands", "weights", "legible", "schema", "git", "evidence", "arms",
}  # fmt: skip
LAYERS = {  # who may import whom; every layer may import the lowest
    "runtime": set(), "plots": set(), "report": set(), "render": {"report"}, "pairs": set(), "workflow": set(),
    "execute": {"render", "report"}, "cli": {"execute", "render", "report"}, "models": set(), "losses": set(),
    "calibration": set(),
    "train": {"runtime"}, "data": {"runtime", "train"}, "probes": {"runtime"}, "fisher": {"runtime", "data"},
    "inverse": {"runtime", "data", "models", "losses"},
    "denoising": {"runtime", "data", "models", "losses", "train"}, "latents": {"data", "denoising", "models"},
    "heads": {"runtime", "models", "train"},
    "steps": {
        "runtime", "data", "models", "losses", "train", "probes", "fisher", "inverse", "denoising", "latents", "heads",
        "calibration",
    },
    "studies": {
        "steps", "runtime", "data", "models", "losses", "train", "probes", "fisher", "inverse", "denoising",
        "latents", "heads", "calibration",
    },
}  # fmt: skip

BESIDE = ("tools", "scripts", "benchmarks", "tests", "notebooks")  # what lib never imports


def layer(name):
    return name.split(".")[1]


def _modules(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"lib.{a.name}" for a in node.names] if node.module == "lib" else [node.module or ""]
    return []


def imports(file):
    return [name for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))) for name in _modules(node)]


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.relative_to(paths.ROOT).as_posix())
def test_imports_follow_the_arrows(file):
    own = file.relative_to(paths.ROOT / "lib").parts[0].removesuffix(".py")
    for name in imports(file):
        assert name.split(".")[0] not in BESIDE, f"lib must not import {name}"
        if own in ("plots", "report"):
            assert name.split(".")[0] not in ("torch", "lightning"), f"{own} imports no torch"
        if name.split(".")[0] == "lib" and "." in name and layer(name) != own and own in LAYERS:
            assert layer(name) in LAYERS[own] | LOWEST, f"{own} must not import {name}"
        if own == "studies" and name.startswith("lib.studies."):
            mine = file.relative_to(paths.ROOT / "lib" / "studies").parts[0].removesuffix(".py")
            assert name.split(".")[2] == mine, "studies never import studies"


@pytest.mark.parametrize("file", MODULES, ids=lambda f: f.relative_to(paths.ROOT).as_posix())
def test_files_stay_small(file):
    assert file.read_text(encoding="utf8").count("\n") <= 300


FOLDERS = ("lib", "scripts", "tools", "benchmarks", "notebooks", "tests")
EVERYWHERE = sorted(f for folder in FOLDERS for f in (paths.ROOT / folder).rglob("*.py"))
PICKLERS = {"pickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
MAKES_BOMBS = {
    "bad_cases.py",
    "test_spectra_files.py",
    "test_security.py",
}  # tests that write a hostile pickle, to see it refused
NEVER = {  # calls that run what a file or a text holds
    "eval", "exec", "__import__", "os.system", "os.popen", "pd.read_pickle", "pandas.read_pickle", "pd.read_hdf", "pandas.read_hdf",
    "torch.jit.load", "torch.package.PackageImporter", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
}  # fmt: skip


def hazard(node):
    """Return what is wrong with a call, or nothing."""
    name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
    if name in NEVER or name.endswith((".to_pickle", ".read_pickle")):
        return name
    if name == "torch.load" and given.get("weights_only") != "True":
        return "torch.load without weights_only=True"
    if name.endswith(".fit") and "ckpt_path" in given and given.get("weights_only") != "True":
        return "a resume without weights_only=True"
    if name in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
        return "np.load with allow_pickle"
    return "a shell" if given.get("shell", "False") != "False" else ""


@pytest.mark.parametrize("file", EVERYWHERE, ids=lambda f: f.relative_to(paths.ROOT).as_posix())
def test_nothing_that_a_file_holds_is_ever_run(file):
    text = file.read_text(encoding="utf8").replace(
        "from pickle import UnpicklingError", ""
    )  # the error of a refusal may be named
    nodes = list(ast.walk(ast.parse(text)))
    if file.name not in MAKES_BOMBS:
        assert not {n.split(".")[0] for node in nodes for n in _modules(node)} & PICKLERS
    reads = {"pd.read_hdf"} if file.parent.name in ("tests", "benchmarks") else set()  # they open what they have written
    found = [
        (node.lineno, said) for node in nodes if isinstance(node, ast.Call) and (said := hazard(node)) and said not in reads
    ]
    assert not found


@pytest.mark.parametrize(
    "call",
    ["torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "yaml.load(f, Loader=L)", "eval(x)",
     "frame.to_pickle(f)", "subprocess.run(x, shell=True)", "trainer.fit(m, ckpt_path=p)"],
)  # fmt: skip
def test_the_search_for_hazards_finds_them(call):
    assert hazard(ast.parse(call).body[0].value)


def requirements(names):
    return [Requirement(n) for n in names]


def test_environment_pyproject_and_lock_agree():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    lines = [x for x in (paths.ROOT / "requirements.lock").read_text(encoding="utf8").splitlines() if x and x[0] != "#"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*(post\d+)?", x) for x in lines), "exact versions, no local suffix"
    locked = {name.lower().replace("_", "-"): version for name, version in (x.split("==") for x in lines)}
    assert locked["torch"] == "2.13.0"
    for wanted in requirements(project["dependencies"] + project["optional-dependencies"]["test"]):
        assert wanted.specifier.contains(locked[wanted.name.lower().replace("_", "-")]), wanted
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text(encoding="utf8"))
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert Requirement("python" + project["requires-python"]).specifier.contains(python.removeprefix("python="))
    assert "-r requirements.lock" in environment["dependencies"][-1]["pip"]


NOT_IMPORTED = {  # what a dependency does that no import shows
    "ipykernel": "runs the notebooks", "jupyterlab": "`make lab`", "snakemake": "`make reports`",
    "pywavelets": "skimage's wavelet shrinkage", "tables": "pandas' HDF5 files",
}  # fmt: skip


def test_every_dependency_is_imported_or_has_a_stated_use():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    declared = {r.name.lower() for r in requirements(project["dependencies"])}
    found = {name.split(".")[0] for file in MODULES for name in imports(file)}
    used = {d.lower().replace("_", "-") for name in found for d in metadata.packages_distributions().get(name, [])}
    assert sorted(declared - used - set(NOT_IMPORTED)) == []


def test_releases_of_lightning_that_were_withdrawn_are_excluded():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    lightning = next(r for r in requirements(project["dependencies"]) if r.name == "lightning")
    assert [v for v in ("2.6.1", "2.6.2", "2.6.3", "2.6.6") if not lightning.specifier.contains(v)] == ["2.6.2", "2.6.3"]


def test_the_workflow_knows_what_a_study_reads():
    from lib import workflow

    for study in workflow.written("smoke"):
        found = workflow.inputs(study, "smoke")
        assert {f"notebooks/{study}.ipynb", f"params/smoke/{study}.yaml", "lib/report/__init__.py"} <= set(found)
        data = {f"lib/data/{m}": paths.EMBEDDED.glob(p) for m, p in workflow.EMBEDDED.items() if f"lib/data/{m}" in found}
        read = {f.relative_to(paths.ROOT).as_posix() for files in data.values() for f in files if f.is_file()}
        assert read == {f for f in found if f.startswith("lib/data/embedded/")}, "the embedded data are an input"
        others = [s for s in workflow.written("smoke") if s != study]
        assert not [f for f in found for s in others if f"studies/{s}" in f]


def test_the_workflow_knows_every_module_that_reads_embedded_data():
    from lib import workflow

    folder = paths.ROOT / "lib" / "data"
    readers = {f.relative_to(folder).as_posix() for f in folder.rglob("*.py") if "EMBEDDED" in f.read_text(encoding="utf8")}
    assert readers == set(workflow.EMBEDDED)
    assert all(any(paths.EMBEDDED.glob(pattern)) for pattern in workflow.EMBEDDED.values())


def test_sources_of_a_study_leave_out_what_it_does_not_import():
    found = {p.name for p in sources(paths.ROOT / "lib" / "studies" / "opamp_transfer" / "__init__.py")}
    assert {"opamp.py", "metrics.py", "stacked.py"} <= found
    assert not {"vit.py", "noise2noise.py"} & found


def test_repeats_and_the_wish_list_for_slurm_are_checked(tmp_path, monkeypatch):
    from lib import workflow

    assert workflow.seeds("3") == [1, 2]
    with pytest.raises(ValueError, match="SEEDS is '0'"):
        workflow.seeds("0")
    assert set(workflow.asked("smoke")) <= {"cpus", "gpu", "mem_mb", "runtime"}
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "slurm.yaml").write_text("cpus: many")
    with pytest.raises(ValueError, match="should hold cpus, gpu, mem_mb, runtime, each a whole number"):
        workflow.asked("smoke")


def test_a_job_takes_the_threads_that_the_workflow_leaves_it(monkeypatch):
    from lib import runtime

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert runtime.allowed_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert runtime.allowed_threads() >= 1
