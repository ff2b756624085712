"""Hostile files and names: nothing that a file holds is run, nothing that a user wrote is markup on a page."""

import json
import pickle
import shutil
from html.parser import HTMLParser

import h5py
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from bad_cases import bomb, denoise, denoiser, head, n2n, opamp_model, predict_head, predict_vit, spectra, vit
from test_limits import CPU
from test_render import RESULTS, notebook
from test_train import problem

from lib.data.spectra import SpectraDataset
from lib.heads import EncoderAndHead  # noqa: F401  (the class that a head's file is read into)
from lib.models import blindspot
from lib.models.vit import load_pretrained as load_vit
from lib.render.compare import render_compare
from lib.render.guard import check_offline, policy
from lib.render.index import render_index
from lib.render.page import render, render_failed, script
from lib.report.display import table_payload
from lib.steps.noise2noise import load_model
from lib.steps.opamp.source import load_networks
from lib.studies.mlp_head.publish import load as load_head
from lib.studies.opamp_transfer import artifact as opamp_artifact
from lib.train import fit

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><a href=javascript:alert(1)>"


def replaced_weights(build, name, load):
    """Return a row: a model folder whose weights are a pickle in disguise, and what loads it."""

    def act(folder, mark):
        build(folder)
        bomb(folder / name, mark, inside=False)
        load(folder)

    return act


def from_checkpoint(load):
    return lambda folder, mark: load(bomb(folder / "x.ckpt", mark))


LOADERS = {
    "blindspot .ckpt": from_checkpoint(blindspot.load_pretrained),
    "blindspot bare pickle": lambda folder, mark: blindspot.load_pretrained(bomb(folder / "x.pt", mark, inside=False)),
    "vit .ckpt": from_checkpoint(load_vit),
    "vit bare pickle": lambda folder, mark: load_vit(bomb(folder / "x.pth", mark, inside=False)),
    "denoiser folder": replaced_weights(denoiser, "denoiser.safetensors", lambda f: blindspot.load_pretrained(f / "denoiser.safetensors")),
    "head folder": replaced_weights(head, "head.safetensors", lambda f: load_head(f, torch.device("cpu"))),
    "vit folder": replaced_weights(vit, "model.safetensors", lambda f: load_vit(f / "model.safetensors")),
    "n2n folder": replaced_weights(n2n, "weights.safetensors", load_model),
    "op-amp folder": replaced_weights(opamp_model, "member_0/linear.json", opamp_artifact.load),
    "op-amp scaler": replaced_weights(opamp_model, "inputs.json", opamp_artifact.load),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADERS)
def test_no_loader_sets_off_a_hostile_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"no plain checkpoint of tensors|no safetensors file|is not valid JSON"):
        LOADERS[name](tmp_path / "m", tmp_path / "mark")
    assert not (tmp_path / "mark").exists()


def test_the_bomb_of_these_tests_is_live(tmp_path):
    pickle.loads(bomb(tmp_path / "x.pt", tmp_path / "mark", inside=False).read_bytes())  # noqa: S301
    assert (tmp_path / "mark").exists()


def test_a_hostile_checkpoint_is_not_resumed_from(tmp_path, caplog):
    bomb(tmp_path / "checkpoints" / "last.ckpt", tmp_path / "mark")
    task, train, val = problem()
    fitted = fit(task, train, val, folder=tmp_path, epochs=1, runtime=CPU)
    assert fitted.history.epoch.tolist() == [0]
    assert "last.ckpt is no plain checkpoint of tensors" in caplog.text
    assert not (tmp_path / "mark").exists()


def hostile_table(path, mark):
    """Write spectra whose table brings pickles in every place where PyTables looks for one."""
    spectra(path, table_format="table")
    pd.DataFrame({"name": np.array(["a"] * 20, object)}).to_hdf(path, key="texts", format="fixed")
    bytes_ = bomb(path.parent / "b", mark, inside=False).read_bytes()
    with h5py.File(path, "a") as file:
        places = [file]
        file.visititems(lambda _, node: places.append(node))
        for node in places:
            for name in (*node.attrs, "FILTERS", "pandas_type_", "values_block_0_meta", "info"):
                node.attrs[name] = np.void(bytes_) if name.endswith("_") else np.bytes_(bytes_)
        stored = file["texts/block0_values"]
        stored[0] = np.frombuffer(bytes_, np.uint8)
    return path


def test_a_hostile_table_of_hdf5_runs_nothing(tmp_path):
    path = hostile_table(tmp_path / "d.h5", tmp_path / "mark")
    with pytest.raises(ValueError, match=r"d\.h5"):  # the names of the columns were replaced as well
        SpectraDataset.from_hdf5(path).flux  # noqa: B018
    for make in (denoise, predict_head, predict_vit):
        command = make(tmp_path / make.__name__)
        hostile_table(tmp_path / make.__name__ / "in.h5", tmp_path / "mark")
        assert command.main(command.words) == 0
    assert not (tmp_path / "mark").exists()


class Tags(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def is_inert(page):
    text = page.read_text(encoding="utf8")
    check_offline(text, page.name, script())
    tags = Tags(text)
    scripts = tags.seen.count("script") - text.count(f"<script>{script()}</script>")
    assert ("content", policy(script())) in tags.attributes
    assert not [a for a in tags.attributes if a[0].startswith("on") or a[1].startswith("javascript")]
    assert not [v for n, v in tags.attributes if n == "src" and not v.startswith("data:image/png")]
    assert text.split('<main id="main">')[1].split("</main>")[0].count("<img src=x") == 0
    return scripts


def hostile_results():
    found = json.loads(json.dumps(RESULTS))
    found["data"] |= {"name": EVIL, "source": EVIL, "fingerprint": "sha256:" + EVIL}
    found["params"] |= {"opamp": EVIL}
    found["header"] = dict.fromkeys(found["header"], EVIL)
    found["provenance"] |= {"command": EVIL, "device": EVIL, "commit": EVIL, "packages": {EVIL: EVIL}}
    found["facts"] = {"f": {"value": EVIL, "unit": EVIL, "reported": None, "reported_source": None, "zh": EVIL, "en": EVIL}}
    for part in (found["title"], found["question"], found["answer"], found["claims"][0], found["claims"][0]["text"]):
        part |= {"zh": EVIL, "en": EVIL + "b"}
    return found | {"implications": [{"zh": EVIL, "en": EVIL + "b"}]}


def hostile_notebook(path):
    results = hostile_results()
    frame = pd.DataFrame({"metric": [EVIL, "plain"], "method": [f"a{EVIL}", "b"]})
    table = table_payload(frame) | {"id": "tab-x", "caption": {"zh": EVIL, "en": EVIL}, "file": EVIL, "origin": EVIL}
    shown = {"zh": f"列 {EVIL}", "en": f"column {EVIL}"}
    items = ({"kind": "text", **shown}, {"kind": "table", **table}, {"kind": "claim", "claim": results["claims"][0]},
             {"kind": "provenance", "results": results}, {"kind": "summary", "results": results})  # fmt: skip
    notebook(path, *items, prose=(f"## {EVIL}\n甲", f"## {EVIL}\na"))
    return results


def test_hostile_names_are_text_on_the_page_of_a_study(tmp_path):
    hostile_notebook(tmp_path / "n.ipynb")
    render(tmp_path / "n.ipynb", tmp_path / "p.html")
    assert is_inert(tmp_path / "p.html") == 1, "the results as JSON, and no other script"
    assert "&lt;script&gt;alert(1)" in (tmp_path / "p.html").read_text(encoding="utf8")


def test_hostile_names_are_text_on_failed_pages_the_index_and_comparisons(tmp_path, monkeypatch):
    results = hostile_notebook(tmp_path / "n.ipynb")
    failure = {"study": EVIL, "error": f"ValueError: {EVIL}", "traceback": EVIL, "time": EVIL}
    render_failed(tmp_path / "n.ipynb", tmp_path / "failed.html", failure)
    pages = tmp_path / "reports" / "smoke"
    render(tmp_path / "n.ipynb", pages / "opamp_transfer.html")
    monkeypatch.setattr("lib.paths.BUILD", tmp_path / "build")
    build = tmp_path / "build" / "smoke" / "vit_scaling"
    build.mkdir(parents=True)
    (build / "failed.json").write_text(json.dumps(failure))
    (build / "running.json").write_text(json.dumps({"step": EVIL, "done": 1, "total": 2, "started": EVIL}))
    render_index(pages)
    for name, more in (("a", {}), ("b", {"params": {"lang": "en", EVIL: EVIL}})):
        (tmp_path / f"{name}.json").write_text(json.dumps(results | more))
    render_compare(tmp_path / "a.json", tmp_path / "b.json", tmp_path / "compare.html")
    assert [is_inert(p) for p in (tmp_path / "failed.html", pages / "index.html", tmp_path / "compare.html")] == [0, 0, 0]


def test_a_hostile_image_of_a_notebook_cannot_leave_its_attribute(tmp_path):
    cell = nbformat.v4.new_code_cell(
        "x", outputs=[nbformat.v4.new_output("display_data", data={"image/png": 'A" onerror="alert(1)'})]
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    render_failed(tmp_path / "n.ipynb", tmp_path / "p.html", {"study": "s", "error": "e", "traceback": "t", "time": "now"})
    assert "A&quot; onerror=&quot;" in (tmp_path / "p.html").read_text(encoding="utf8")
    is_inert(tmp_path / "p.html")


@pytest.mark.parametrize(
    "markup",
    ['<img src="data:image/png;base64,A" onerror="x()">', '<a href="javascript:x()">a</a>', '<p style="background:url(//x.org/a)">',
     '<base href="//x.org">', '<meta http-equiv="refresh" content="0;url=//x.org">', '<form action="//x.org"></form>', "<svg><image/></svg>",
     '<video poster="//x.org/a"></video>', '<img srcset="//x.org/a 2x">', '<a ping="//x.org" href="#">a</a>', "<object data=a></object>"],
)  # fmt: skip
def test_the_guard_of_pages_knows_more_than_scripts(markup):
    with pytest.raises(ValueError, match="from outside or run a script"):
        check_offline(markup, "page")


def test_networks_of_no_kind_are_not_built(tmp_path):
    (tmp_path / "networks.json").write_text(json.dumps({"kind": "os.system", "sizes": {}, "count": 1}))
    with pytest.raises(ValueError, match="has the kind 'os.system', but it should be one of"):
        load_networks(tmp_path)


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_browser_runs_the_projects_script_and_no_other(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or pytest.skip("Chromium is not installed")
    hostile_notebook(tmp_path / "n.ipynb")
    render(tmp_path / "n.ipynb", tmp_path / "p.html")
    smuggled = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\"></main>"
    page = (tmp_path / "p.html").read_text(encoding="utf8").replace("</main>", smuggled, 1)
    (tmp_path / "p.html").write_text(page, encoding="utf8")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        shown, problems = browser.new_page(), []
        shown.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        shown.goto((tmp_path / "p.html").as_uri())
        assert shown.locator("dialog.zoom").count() == 1, "the project's own script ran"
        assert shown.title() != "ran"
        assert len([p for p in problems if "Content Security Policy" in p]) == 3
        browser.close()
