"""Pages: formulas, escaping, offline, and the same facts in both languages."""

import json
import re
from collections import Counter
from html import unescape

import nbformat
import pytest

from lib import paths
from lib.render.__main__ import main
from lib.render.guard import check_offline
from lib.render.maths import mathml
from lib.render.page import render_failed, script
from lib.render.text import both, html
from lib.report.display import MIME
from lib.report.ledger import contradictions, load

RESULTS = {
    "schema": 1, "study": "opamp_transfer", "experiment_id": "E", "profile": "smoke", "status": "complete",
    "title": {"zh": "题 $x^2$", "en": "Title $x^2$"}, "question": {"zh": "问", "en": "Q"}, "answer": {"zh": "答 0.5", "en": "A 0.5"},
    "header": dict.fromkeys(("experiment_id", "author", "date", "project", "topic", "mvp", "model_version"), "x"),
    "figure": "figures/f.png", "figures": {}, "tables": {}, "model": None, "facts": {}, "implications": [],
    "data": {"source": "csv", "name": "</script><script>alert(1)</script>", "fingerprint": "sha256:0", "n_train": 3, "n_dropped": 0},
    "claims": [{"id": "H1", "zh": "甲", "en": "a", "metric": "r2", "value": 0.7, "low": None, "high": None, "verdict": "supported",
                "criterion": {"direction": "gt", "threshold": 0.5, "refute": None}, "why_not": None, "reported": 0.6,
                "reported_source": "document", "anchor": "#x", "text": {"zh": "好", "en": "good"}}],
    "params": {"lang": "zh"},
    "provenance": {"commit": "c", "dirty": True, "packages": {}, "device": "cpu", "threads": 1, "seconds": 1.0, "command": "papermill <x>"},
}  # fmt: skip


def notebook(path, *outputs, prose=("## 1 目标\n甲", "## 1 Goal\na")):
    cells = [
        nbformat.v4.new_markdown_cell(t, metadata={"tags": [f"lang-{lang}"]})
        for t, lang in zip(prose, ("zh", "en"), strict=True)
    ]
    shown = [nbformat.v4.new_output("display_data", data={MIME: json.dumps(o)}) for o in outputs]
    cells.append(nbformat.v4.new_code_cell("x = 1", outputs=shown))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def page(tmp_path, *outputs, **more):
    target = tmp_path / "page.html"
    code = main(
        ["page", str(notebook(tmp_path / "n.ipynb", *outputs, {"kind": "summary", "results": RESULTS}, **more)), str(target)]
    )
    return target.read_text(encoding="utf8") if code == 0 else None


@pytest.mark.parametrize(
    "latex",
    [r"R^2 = 1 - \frac{\sum_i (y_i-\hat y_i)^2}{\sum_i (y_i-\bar y)^2}", r"\mathbf{x}_{\text{clean}}", r"\lVert x \rVert"],
)
def test_formulas_become_mathml(latex):
    assert mathml(latex, True).startswith("<math")


@pytest.mark.parametrize(
    "latex",
    [
        r"\foo",
        r"a & b",
        r"\begin{aligned}a&b\end{aligned}",
        r"\bm{x}",
        r"\operatorname{arg\,min}",
        r"\boldsymbol{\mu}",
        r"\frac{}{",
    ],
)
def test_a_formula_that_cannot_be_converted_faithfully_fails_the_build(latex):
    with pytest.raises(ValueError, match="Formula"):
        mathml(latex, False)


def test_a_function_keeps_its_distance():
    assert "log</mi><mspace" in mathml(r"\log g", False).replace("</mrow>", "").replace("<mrow>", "")


def test_raw_html_in_prose_is_escaped_and_images_are_refused():
    assert "<script>" not in html("<script>alert(1)</script>")
    assert 'href="javascript' not in html("[x](javascript:alert(1))")
    with pytest.raises(ValueError, match="only figures of the run"):
        html("![x](http://example.org/x.png)")


def test_a_line_break_between_chinese_characters_is_no_space():
    assert (
        html("## 目标\n共用；\n这样\n\n- 甲\n- 乙")
        == "<h2>目标</h2>\n<p>共用；这样</p>\n<ul>\n<li>甲</li>\n<li>乙</li>\n</ul>\n"
    )


def test_a_plain_string_is_never_markdown_or_html():
    assert both("<b>$x$ *y*</b>") == "&lt;b&gt;$x$ *y*&lt;/b&gt;"


@pytest.mark.parametrize(
    "markup",
    ['<script src="https://x.org/a.js"></script>', "<script>1</script>", '<link rel="stylesheet" href="a.css">', '<img src="//x.org/a.png">',
     "<style>@import 'a.css'</style>", "<style>a{background:url(https://x.org/a.png)}</style>", '<iframe src="http://x.org"></iframe>'],
)  # fmt: skip
def test_a_remote_resource_or_a_script_is_refused(markup):
    with pytest.raises(ValueError, match="from outside or run a script"):
        check_offline(markup, "page")


def test_only_the_project_s_own_script_may_run_and_only_once():
    check_offline("<script>own</script>", "page", "own")
    for text in ("<script>own</script><script>own</script>", "<script>other</script>", "<script>own;other</script>"):
        with pytest.raises(ValueError, match="run a script"):
            check_offline(text, "page", "own")


def test_a_citation_link_and_embedded_data_are_fine():
    check_offline(
        '<a href="https://arxiv.org/abs/1">x</a><img src="data:image/png;base64,AA"><style>a{src:url(data:font/woff2;base64,A)}</style>',
        "page",
    )


def test_a_page_is_bilingual_self_contained_and_escapes_names(tmp_path):
    text = page(tmp_path, {"kind": "text", "zh": "共 5", "en": "5 in all"})
    assert '<html lang="zh-CN">' in text
    assert text.count("<script") == 2  # the results, as JSON, and the page's own script
    assert "alert(1)</script>" not in text.replace("\\u003c", "<").split('id="results">')[0]
    assert '<div lang="zh-CN">共 5</div><div lang="en">5 in all</div>' in text
    assert 'href="#section-1"' in text
    assert '<a id="section-1"></a>' in text  # outside both languages, so that the link works in either


def test_a_notebook_that_was_not_run_to_its_end_publishes_no_page(tmp_path, capsys):
    target = tmp_path / "page.html"
    target.write_text("the last good page")
    assert main(["page", str(notebook(tmp_path / "n.ipynb")), str(target)]) == 1
    assert "not executed to its last cell" in capsys.readouterr().err
    assert target.read_text() == "the last good page"


@pytest.mark.parametrize("content", ["", "{}", "not json", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}'])
def test_a_file_that_is_no_notebook_is_one_sentence(tmp_path, capsys, content):
    file = tmp_path / "n.ipynb"
    file.write_text(content)
    assert main(["page", str(file), str(tmp_path / "page.html")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_kind_of_output_fails_the_build(tmp_path):
    assert page(tmp_path, {"kind": "video"}) is None


def test_a_failed_page_shows_the_traceback_escaped(tmp_path):
    failure = {"study": "s", "error": "ValueError: <b>", "traceback": "Traceback <x>", "time": "now"}
    render_failed(None, tmp_path / "s.failed.html", failure)
    text = (tmp_path / "s.failed.html").read_text()
    assert "ValueError: &lt;b&gt;" in text
    assert "Traceback &lt;x&gt;" in text


def numbers(text):
    return Counter(re.findall(r"(?<![A-Za-z_.\d])\d+(?:[.,]\d+)*", unescape(re.sub(r"<[^>]+>", " ", text))))


def test_published_pages_carry_the_same_numbers_in_both_languages():
    pages = [p for p in paths.REPORTS.glob("*/*.html") if ".failed" not in p.name]
    for file in pages:
        text = file.read_text(encoding="utf8")
        check_offline(text, file.name, script() if f"<script>{script()}</script>" in text else "")
        assert len(text) <= 3_000_000, file
        for zh, en in re.findall(
            r'<(?:div|p) lang="zh-CN">(.*?)</(?:div|p)><(?:div|p) lang="en">(.*?)</(?:div|p)>', text, re.S
        ):
            assert numbers(zh) == numbers(en), (file.name, zh, en)


def test_compare_tells_parameters_numbers_and_claims_that_changed(tmp_path, capsys):
    base = RESULTS | {"facts": {"best": {"value": 0.5, "unit": "", "zh": "最好", "en": "best", "reported": None}}}
    claim = base["claims"][0] | {"value": 0.3, "verdict": "refuted"}
    other = base | {"params": {"lang": "en"}, "claims": [claim], "facts": {"best": base["facts"]["best"] | {"value": 0.75}}}
    for name, results in (("a", base), ("b", other), ("c", base | {"study": "vit_scaling"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    a, b, c, out = (str(tmp_path / n) for n in ("a.json", "b.json", "c.json", "out.html"))
    assert main(["compare", a, b, out]) == 0
    text = (tmp_path / "out.html").read_text()
    assert "<td>lang</td><td>zh</td><td>en</td>" in text
    assert '<td class="n">0.25</td>' in text
    assert text.count('class="verdict refuted"') == 1
    assert main(["compare", a, a, out]) == 0
    assert (tmp_path / "out.html").read_text().count("No difference.") == 3
    assert main(["compare", a, c, out]) == 1
    assert "compare runs of one study" in capsys.readouterr().err


def compared(tmp_path, a, b):
    for name, results in (("a", a), ("b", b)):
        (tmp_path / f"{name}.json").write_text(json.dumps(results))
    assert main(["compare", *(str(tmp_path / n) for n in ("a.json", "b.json", "out.html"))]) == 0
    return (tmp_path / "out.html").read_text()


def test_compare_gives_numbers_their_units_and_no_difference_between_two_units(tmp_path):
    fact = {"value": 0.5, "unit": "dB", "zh": "增益", "en": "gain", "reported": None}
    base = RESULTS | {"facts": {"gain": fact}}
    text = compared(tmp_path, base, base | {"facts": {"gain": fact | {"value": 0.75}}})
    assert all(f'<td class="n">{n} dB</td>' in text for n in ("0.5", "0.75", "0.25"))
    text = compared(tmp_path, base, base | {"facts": {"gain": fact | {"unit": "V/V"}}})
    assert '<td class="n">0.5 dB</td><td class="n">0.5 V/V</td><td class="n">—</td>' in text


@pytest.mark.parametrize(
    "change",
    [{"threshold": 0.6}, {"direction": "lt"}, {"refute": 0.4}],
)
def test_compare_marks_a_claim_that_is_judged_by_another_criterion(tmp_path, change):
    claim = RESULTS["claims"][0]
    same = RESULTS | {"claims": [claim | {"value": 0.71}]}
    assert ">changed</" not in compared(tmp_path, RESULTS, same)
    text = compared(tmp_path, RESULTS, RESULTS | {"claims": [claim | {"criterion": claim["criterion"] | change}]})
    assert text.count(">changed</") == text.count(">判据不同</") == 1
    assert "A: <code>r2</code> ≥ 0.5<br>" in text
    assert "the criterion alone may account for another verdict" in text


def test_a_contradiction_points_to_claims_of_its_ledger():
    for entry in contradictions():
        assert set(entry["claims"]) <= set(load(entry["study"]).claims)
        assert all(c in entry["zh"] and c in entry["en"] for c in entry["claims"])


def test_the_index_lists_claims_with_links_and_tells_failed_and_running_studies(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    folder = tmp_path / "smoke"
    folder.mkdir()
    (folder / "opamp_transfer.html").write_text(page(tmp_path, {"kind": "text", "zh": "一", "en": "one"}))
    for study, name, state in (
        ("noise2noise", "failed.json", {"error": "ValueError: <b>", "study": "noise2noise"}),
        ("mlp_head", "running.json", {"step": "fit", "done": 1, "total": 9, "started": "now"}),
    ):
        (tmp_path / "build" / "smoke" / study).mkdir(parents=True)
        (tmp_path / "build" / "smoke" / study / name).write_text(json.dumps(state))
    assert main(["index", str(folder)]) == 0
    text = (folder / "index.html").read_text()
    assert 'href="opamp_transfer.html#claim-H1"' in text
    assert "ValueError: &lt;b&gt;" in text
    assert "fit 1/9" in text
    for entry in contradictions():
        assert html(entry["en"]).strip().removeprefix("<p>").removesuffix("</p>") in text
        for claim in entry["claims"]:
            assert (f'<a href="{entry["study"]}.html#claim-{claim}">{claim}</a>' in text) == (
                entry["study"] == "opamp_transfer"
            )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"claims": 3}, "claims: Input should be a valid list"),
        ({"schema": 3}, "no results.json of schema 2: schema: Input should be 2"),
        ({"facts": []}, "facts: Input should be a valid dictionary"),
        ({"facts": {"best": {"value": 1.0, "zh": "甲", "en": "a"}}}, "facts.best.unit: Field required"),
        (
            {"claims": [RESULTS["claims"][0] | {"criterion": {"direction": "gt"}}]},
            "claims.0.criterion.threshold: Field required",
        ),
    ],
)
def test_compare_refuses_what_is_no_results_file_in_a_sentence(tmp_path, capsys, change, sentence):
    (tmp_path / "a.json").write_text(json.dumps(RESULTS))
    (tmp_path / "b.json").write_text(json.dumps(RESULTS | change))
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), str(tmp_path / "o.html")]) == 1
    assert sentence in capsys.readouterr().err
    assert main(["compare", str(tmp_path), str(tmp_path / "a.json"), str(tmp_path / "o.html")]) == 1
    assert "is a folder: give the results.json in it" in capsys.readouterr().err
