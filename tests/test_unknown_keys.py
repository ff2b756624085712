"""A mistyped parameter given to papermill ends every study with the name that was meant."""

import ast
import importlib

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from lib import paths

MISTYPED = {
    "latent_extraction": ("poolngs", "poolings"), "mlp_head": ("stop_patiense", "stop_patience"), "vit_scaling": ("patch_sise", "patch_size"),
    "opamp_transfer": ("log_target", "log_targets"), "noise2noise": ("noise_sigm", "noise_sigma"),
}  # fmt: skip
COMMON = ("num_thread", "num_threads")  # for a study that is not in the table


def notebook(study):
    return nbformat.read(paths.NOTEBOOKS / f"{study}.ipynb", as_version=4)


@pytest.mark.parametrize("study", paths.STUDIES)
def test_a_mistyped_parameter_is_refused_with_the_name_that_was_meant(study):
    cells = notebook(study).cells
    declared = next(c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    values = {n.target.id: ast.literal_eval(n.value) for n in ast.parse(declared).body}
    wrong, meant = MISTYPED.get(study, COMMON)
    config = importlib.import_module(f"lib.studies.{study}").Config
    with pytest.raises(ValueError, match=rf"^Unknown parameter '{wrong}': did you mean '{meant}'\?$"):
        config.from_notebook({"In": ["", declared, f"# Parameters\n{wrong} = 3\n"], **values, wrong: 3})
    assert any("Config.from_notebook(globals())" in c.source for c in cells), "the notebook asks so, too"


@pytest.mark.slow
@pytest.mark.parametrize("study", paths.STUDIES)
def test_papermill_with_a_mistyped_parameter_ends_with_that_sentence(study, tmp_path):
    wrong, meant = MISTYPED.get(study, COMMON)
    given = {wrong: 3, "out_dir": str(tmp_path / "out")}
    with pytest.raises(PapermillExecutionError, match=rf"Unknown parameter '{wrong}': did you mean '{meant}'\?"):
        papermill.execute_notebook(
            paths.NOTEBOOKS / f"{study}.ipynb",
            tmp_path / "out.ipynb",
            given,
            cwd=paths.ROOT,
            progress_bar=False,
            kernel_name="python3",
        )
    assert not (tmp_path / "out").exists()
