"""Nothing shown is lost: what a cell shows beside the report's own items is on the page, harmless, or fails the build by name."""

import base64
import json
import re

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.linear_model import Ridge
from test_render import RESULTS

from lib.progress import PROGRESS
from lib.render.foreign import clean_html, plain, shown
from lib.render.page import read, render
from lib.render.svg import clean_svg
from lib.report.display import MIME

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">{}</svg>'


def bundle(thing):
    return InteractiveShell.instance().display_formatter.format(thing)[0]


def output(data, kind="display_data", **more):
    return nbformat.v4.new_output(kind, data=data, **more)


def stream(name, text):
    return nbformat.v4.new_output("stream", name=name, text=text)


def rendered(tmp_path, *outputs, source="first = 1\nsecond"):
    end = output({MIME: json.dumps({"kind": "summary", "results": RESULTS})})
    cells = [nbformat.v4.new_markdown_cell("prose"), nbformat.v4.new_code_cell(source, outputs=[*outputs, end])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    render(tmp_path / "n.ipynb", tmp_path / "p.html")
    return (tmp_path / "p.html").read_text(encoding="utf8")


def svg_of(page):
    return base64.b64decode(re.search(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)[1]).decode("utf8")


def test_a_table_of_pandas_is_on_the_page(tmp_path):
    text = rendered(
        tmp_path, output(bundle(pd.DataFrame({"甲": [1.5], "b": ["<script>x</script>"]})), "execute_result", execution_count=1)
    )
    assert "<td>1.5</td>" in text
    assert ">甲</th>" in text
    assert "<td>&lt;script&gt;x&lt;/script&gt;</td>" in text
    assert "vertical-align" not in text.split("id=glance")[-1].split("<table")[-1], "the style sheet is no text of the page"


def test_text_streams_and_images_are_on_the_page_without_the_colours_of_a_terminal(tmp_path):
    text = rendered(
        tmp_path, output({"text/plain": "array([<1>])"}, "execute_result", execution_count=1),
        stream("stdout", "\x1b[1;31mred\x1b[0m <b>\x07\n10%\r100%\n"), output({"image/jpeg": "/9j/AA==\n"}), output({"application/json": {"k": "<i>"}}),
    )  # fmt: skip
    assert "<pre>array([&lt;1&gt;])</pre>" in text
    assert "<pre>red &lt;b&gt;\n100%\n</pre>" in text
    assert 'src="data:image/jpeg;base64,/9j/AA=="' in text
    assert "&quot;k&quot;: &quot;&lt;i&gt;&quot;" in text


def test_stderr_and_progress_are_in_the_folded_log_with_their_cell(tmp_path):
    told = output({"text/plain": "fit 3/3"}, metadata={PROGRESS: True})
    text = rendered(tmp_path, stream("stderr", "\x1b[33mUserWarning: <b>\x1b[0m\n"), told)
    log = text[text.index("<details class=log>") :].split("</details>")[0]
    assert "2 lines" in log
    assert log.count("<code>2 (first = 1)</code>") == 1
    assert "<pre>UserWarning: &lt;b&gt;</pre><pre>fit 3/3</pre>" in log
    assert "fit 3/3" not in text.replace(log, "")


def test_a_page_without_stderr_has_no_log(tmp_path):
    assert "<details class=log>" not in rendered(tmp_path, stream("stdout", "x"))


def test_the_verdict_that_a_claim_returns_is_not_repeated_but_any_other_text_is_kept(tmp_path):
    claim = output({MIME: json.dumps({"kind": "claim", "claim": RESULTS["claims"][0]})})
    said = [output({"text/plain": t}, "execute_result", execution_count=1) for t in ("'supported'", "'refuted'")]
    text = rendered(tmp_path, claim, *said)
    assert "<pre>&#x27;refuted&#x27;</pre>" in text
    assert "<pre>&#x27;supported&#x27;</pre>" not in text
    assert "<pre>&#x27;supported&#x27;</pre>" in rendered(tmp_path, said[0])


def test_a_drawing_of_matplotlib_keeps_its_shapes(tmp_path):
    figure, ax = plt.subplots()
    ax.plot(np.arange(5), label="line")
    ax.imshow(np.eye(3))
    figure.savefig(tmp_path / "f.svg")
    plt.close(figure)
    source = (tmp_path / "f.svg").read_text(encoding="utf8")
    text = rendered(tmp_path, output({"image/svg+xml": source, "text/plain": "<Figure>"}))
    kept = svg_of(text)
    assert [kept.count(f"<{tag} ") for tag in ("path", "use", "image")] == [
        source.count(f"<{tag} ") for tag in ("path", "use", "image")
    ]
    assert "RDF" not in kept


@pytest.mark.parametrize(
    ("inside", "named"),
    [("<script>x()</script>", "<script>"), ("<foreignObject><p>t</p></foreignObject>", "<foreignObject>"), ("<a href='http://x.org'><text>t</text></a>", "<a>"),
     ("<image href='http://x.org/a.png'/>", "outside"), ("<image xlink:href='data:image/svg+xml;base64,AA'/>", "outside"), ("<use xlink:href='//x.org/a#b'/>", "outside"),
     ("<style>@import 'a'</style>", "outside"), ("<rect fill='url(http://x.org/#a)'/>", "outside"), ("<rect style='fill:url( //x.org)'/>", "outside"),
     ("<animate attributeName='href' to='javascript:x()'/>", "<animate>"), ("<set/>", "<set>"), ("<h:iframe xmlns:h='http://www.w3.org/1999/xhtml'/>", "<iframe>"), ("<rect", "well-formed")],
)  # fmt: skip
def test_a_drawing_that_would_run_or_fetch_fails_and_the_cell_is_named(tmp_path, inside, named):
    with pytest.raises(ValueError, match=rf"cell 2 \(first = 1\): it shows .*{named}.*, which a page cannot hold"):
        rendered(tmp_path, output({"image/svg+xml": SVG.format(inside)}))


def test_entities_in_a_drawing_are_not_expanded():
    with pytest.raises(ValueError, match="entities"):
        clean_svg('<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.format("<text>&a;</text>"))


def test_handlers_of_a_drawing_are_left_out_and_its_shapes_kept():
    kept = clean_svg(SVG.format("<rect onload='x()' width='3' fill='url(#g)' data-x='y'/><use xlink:href='#a'/><!-- c -->"))
    assert '<rect width="3" fill="url(#g)" />' in kept
    assert '<use href="#a" />' in kept
    assert "onload" not in kept
    assert 'xmlns="http://www.w3.org/2000/svg"' in kept


@pytest.mark.parametrize(
    "source",
    ['<b onclick="x()" id="claim-H1" class="verdict supported">t</b>', "<b>t</b><!-- <script>x()</script> -->", '<a href="javascript:x()">t</a>',
     '<a href=" JaVa\tScript:x()">t</a>', '<p style="position:fixed;behavior:url(//x.org)">t</p>', "<style>p{background:url(//x.org)}</style><p>t</p>",
     '<a href="data:text/html,<script>x()</script>">t</a>', "<td background=//x.org>t</td>"],
)  # fmt: skip
def test_what_shows_nothing_is_taken_out_of_html_and_the_text_kept(tmp_path, source):
    text = rendered(tmp_path, output({"text/html": source}))  # the guard of pages has looked at it
    kept = clean_html(source)
    assert re.sub("<[^>]+>", "", kept).strip() == "t"
    assert kept in text
    assert not [word for word in ("x()", "x.org", "claim-H1", "verdict", "position") if word in kept]


@pytest.mark.parametrize(
    ("source", "named"),
    [("<div id=p></div><script>draw()</script>", "<script>"), ("<iframe src=//x.org></iframe>", "<iframe>"), ("<img src=http://x.org/a.png>", "<img> from http://x.org/a.png"),
     ("<svg><script>x()</script></svg>", "<svg>"), ("<form><input></form>", "<form>"), ("<IMG SRC='file:///etc/passwd'>", "<img> from file"), ("<object data=a></object>", "<object>")],
)  # fmt: skip
def test_html_that_needs_to_run_or_fetch_fails_and_the_cell_is_named(tmp_path, source, named):
    with pytest.raises(ValueError, match=re.escape("cell 2 (first = 1): it shows HTML with " + named)):
        rendered(tmp_path, output({"text/html": source, "text/plain": "<IPython.core.display.HTML object>"}))


@pytest.mark.parametrize(
    "kind", ["application/javascript", "application/vnd.jupyter.widget-view+json", "application/pdf", "video/mp4"]
)
def test_a_kind_that_no_page_can_show_fails_and_the_cell_is_named(tmp_path, kind):
    with pytest.raises(ValueError, match=rf"n.ipynb, cell 2 \(first = 1\): it shows an output of the kind {re.escape(kind)}"):
        rendered(tmp_path, output({kind: "x", "text/plain": "VBox()"}))


def test_a_richer_kind_that_cannot_be_shown_gives_way_to_one_that_can():
    assert "Ridge()" in shown(bundle(Ridge())), "whose HTML holds a script"
    assert shown({"text/html": "<script>1</script>", "image/png": "AA"}).startswith("<figure><img")
    assert shown({}) == ""


def test_prose_that_cannot_be_rendered_names_its_cell(tmp_path):
    cells = [nbformat.v4.new_markdown_cell("## a"), nbformat.v4.new_markdown_cell("look\n![x](http://example.org/x.png)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    with pytest.raises(ValueError, match=r"n.ipynb, cell 2 \(look\): Prose shows the image"):
        read(tmp_path / "n.ipynb")


def test_a_raw_cell_is_text(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_raw_cell("<b>raw</b>")]), tmp_path / "n.ipynb")
    assert read(tmp_path / "n.ipynb").body == ["<pre>&lt;b&gt;raw&lt;/b&gt;</pre>"]


def test_links_and_titles_of_a_terminal_are_no_text():
    assert plain("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b[2K\x1b[38;5;9mred\r\n") == "link red\r\n"
