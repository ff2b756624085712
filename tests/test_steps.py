"""The run cache: computed once, keyed by everything that matters, resumable after a kill; and what every step keeps to."""

import copy
import json
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest
import torch

from lib import paths, steps
from lib.runtime import Runtime
from lib.sources import packages, sources

RUNTIME = Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0)


@dataclass(frozen=True)
class Spec:
    a: int = 1
    file: str = steps.place(default="here")
    fingerprint: str = "sha256:x"
    seed: int = 0


def note(spec: Spec, folder: Path, runtime: Runtime) -> None:
    """Count the calls in a file beside the cache, and keep a random number."""
    calls = paths.RUNS.parent / "calls"
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if spec.a < 0 and not (folder / "half.txt").exists():
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")
    (folder / "result.txt").write_text(f"{spec.a} {float(torch.rand(1))} {runtime.seed}")


NOTE = steps.Step(note)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


def calls():
    return (paths.RUNS.parent / "calls").read_text()


def test_an_equal_step_is_computed_once():
    first = NOTE(Spec(), RUNTIME)
    assert NOTE(Spec(), RUNTIME) == first
    assert calls() == "x"
    assert NOTE.done(Spec(), RUNTIME)


def test_the_same_data_elsewhere_are_the_same_step():
    assert NOTE(Spec(), RUNTIME) == NOTE(Spec(file="there"), RUNTIME)
    assert calls() == "x"


@pytest.mark.parametrize("change", [{"a": 2}, {"fingerprint": "sha256:y"}, {"seed": 1}])
def test_another_spec_is_another_step(change):
    assert NOTE(Spec(), RUNTIME) != NOTE(Spec(**change), RUNTIME)
    assert calls() == "xx"


def test_force_computes_again():
    assert NOTE(Spec(), RUNTIME) == NOTE(Spec(), RUNTIME, force=True)
    assert calls() == "xx"


@pytest.mark.parametrize("change", [{"device": torch.device("cuda")}, {"precision": "bf16-mixed"}])
def test_another_kind_of_device_or_precision_is_another_step(change):
    other = Runtime(**vars(RUNTIME) | change)
    assert NOTE.folder(Spec(), RUNTIME) != NOTE.folder(Spec(), other)


def test_another_version_of_a_package_is_another_step(monkeypatch):
    before = NOTE.folder(Spec(), RUNTIME)
    source, used = steps.code(Path(note.__code__.co_filename))
    assert "torch" in dict(used)
    newer = tuple((name, f"{version}.1" if name == "torch" else version) for name, version in used)
    monkeypatch.setattr(steps, "code", lambda file: (source, newer))
    assert NOTE.folder(Spec(), RUNTIME) != before


def test_a_failed_step_is_not_taken_for_finished_and_keeps_what_it_wrote():
    with pytest.raises(RuntimeError):
        NOTE(Spec(a=-1), RUNTIME)
    assert not NOTE.done(Spec(a=-1), RUNTIME)
    folder = NOTE(Spec(a=-1), RUNTIME)
    assert sorted(p.name for p in folder.iterdir()) == ["complete.json", "config.json", "half.txt", "result.txt"]


def test_random_numbers_of_a_step_come_from_its_seed_and_those_outside_do_not_notice():
    torch.manual_seed(5)
    first = (NOTE(Spec(seed=3), RUNTIME) / "result.txt").read_text()
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(2)), "computed"
    torch.rand(100)
    assert (NOTE(Spec(seed=3), RUNTIME, force=True) / "result.txt").read_text() == first
    assert first.endswith(" 3"), "the runtime's seed is that of the spec"


def test_a_step_is_a_function_of_a_module_with_a_frozen_spec():
    def inner(spec: Spec, folder: Path, runtime: Runtime) -> None: ...

    with pytest.raises(TypeError, match="no function of a module"):
        steps.Step(inner)
    with pytest.raises(TypeError, match="frozen dataclass with a field `seed`"):
        steps.Step(open_spec)
    with pytest.raises(TypeError, match="should hold JSON values"):
        steps.content(Spec(a=Path("x")))


def open_spec(spec: dict, folder: Path, runtime: Runtime) -> None: ...


def test_a_finished_folder_tells_its_step_and_its_spec_again():
    import step_cases

    done, spec = next(iter(step_cases.CASES.items())) if step_cases.CASES else pytest.skip("no step yet")
    folder = done(spec(), RUNTIME)
    assert steps.read(folder) == (done, spec())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"function": "os.system"}))
    with pytest.raises(ValueError, match="none of this project"):
        steps.read(folder)


def test_sources_follow_imports_through_packages_and_leave_out_what_only_a_type_checker_reads():
    found = {p.relative_to(paths.ROOT).as_posix() for p in sources(paths.ROOT / "lib/train/__init__.py")}
    assert {"lib/train/fit.py", "lib/train/task.py", "lib/progress.py", "lib/runtime.py", "lib/__init__.py"} <= found
    assert not {"lib/metrics.py", "lib/config.py"} & found
    assert {"lightning", "torch", "python"} <= set(packages([paths.ROOT / "lib/train/fit.py"]))


# --- every step of the project -------------------------------------------------------------------------------------------
import step_cases  # noqa: E402

EVERY = list(step_cases.CASES.items())
NAMES = [s.name for s, _ in EVERY]
PROSE = ("lib/studies/", "lib/plots/", "lib/report/", "lib/render/", "lib/config", "lib/workflow", "notebooks/")


def test_every_step_has_a_case():
    assert set(steps.STEPS) == set(NAMES)


@pytest.mark.parametrize(("one", "make"), EVERY, ids=NAMES)
def test_an_edited_sentence_retrains_nothing(one, make):
    """No module of prose, claims, tables, plots or report is among those whose source is part of the key."""
    files = sources(Path(one.function.__code__.co_filename))
    named = [f.relative_to(paths.ROOT).as_posix() for f in files]
    assert not [name for name in named if name.startswith(PROSE)]
    spoken = [f for f in files if any("\u4e00" <= c <= "\u9fff" for c in f.read_text(encoding="utf8"))]
    assert not spoken, "a module with sentences for readers"


def changed(value):
    """Return another value of the same kind."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return (*value, value[0]) if value else ("x",)


def mutations(value, make):
    """Yield (name, spec) with one field changed, however deep; `make` puts the changed part back into the whole."""
    for f in fields(value):
        old = getattr(value, f.name)

        def put(new, value=value, name=f.name):
            other = copy.copy(value)
            object.__setattr__(other, name, new)
            return make(other)

        if is_dataclass(old):
            yield from ((f"{f.name}.{name}", spec) for name, spec in mutations(old, put))
        elif not f.metadata.get("place"):
            yield f.name, put(changed(old))


@pytest.mark.parametrize(("one", "make"), EVERY, ids=NAMES)
def test_any_changed_field_of_a_spec_is_another_key(one, make):
    spec = make()
    folders = {"": one.folder(spec, RUNTIME)} | {name: one.folder(s, RUNTIME) for name, s in mutations(spec, lambda x: x)}
    assert len(folders) > 3
    assert len(set(folders.values())) == len(folders)


ALONE = """
import json, sys
from pathlib import Path
import torch
from lib import paths, steps
from lib.runtime import Runtime
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = False
paths.RUNS = Path(sys.argv[3])
step, spec = steps.read(Path(sys.argv[1]))
step.compute(spec, Path(sys.argv[2]), Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0))
"""


@pytest.mark.parametrize(("one", "make"), EVERY, ids=NAMES)
def test_a_fresh_process_with_the_serialised_spec_alone_gives_the_same_result(one, make, tmp_path):
    torch.set_num_threads(1)
    folder = one(make(), RUNTIME)
    again = tmp_path / "again"
    again.mkdir()
    words = [sys.executable, "-c", ALONE, str(folder), str(again), str(tmp_path / "other_runs")]
    done = subprocess.run(words, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    step_cases.assert_same(folder, again)
