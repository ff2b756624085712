"""Write docs/parameters.md, docs/glossary.md, the notebooks' cells of parameters, the README's answers and its figure.

python scripts/make_docs.py (tests compare what it writes)
"""

import base64
import importlib
from pathlib import Path

from lib import pairs, paths
from lib.config import StudyConfig
from lib.files import write_text
from lib.render.index import read_page
from lib.report.text import glossary

ANSWERS = ("<!-- answers: made by scripts/make_docs.py from reports/quick -->", "<!-- end of answers -->")
CELL = '# %% tags=["parameters"]\n'
MADE = "<!-- made by scripts/make_docs.py: edit the code, not this file -->\n"


def rows(config: type[StudyConfig], names: list[str]) -> str:
    """Return a markdown table of parameters with default, meaning in both languages and checks."""
    lines = ["| parameter | default | meaning | 含义 | checks |", "|---|---|---|---|---|"]
    table = config().table().set_index("parameter")
    for name in names:
        meaning = table.meaning[name]
        checks = ", ".join(str(m) for m in config.model_fields[name].metadata if "Strict" not in str(m))
        cells = [
            f"`{name}`",
            f"`{table.value[name] or chr(34) * 2}`",
            meaning["en"],
            meaning["zh"],
            f"`{checks}`" if checks else "",
        ]
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def parameters() -> str:
    """Return the page of all studies' parameters; the common ones stand once."""
    common = list(StudyConfig.model_fields)
    parts = [
        MADE,
        "# Parameters\n\nDefaults are those of the notebooks (profile `smoke`); `params/<profile>/<study>.yaml` sets the others.\n",
    ]
    for number, study in enumerate(paths.STUDIES):
        config = importlib.import_module(f"lib.studies.{study}").Config
        if number == 0:
            parts.append("## Every study\n\n" + rows(config, common))
        parts.append(f"## {study}\n\n" + rows(config, [n for n in config.model_fields if n not in common]))
    return "\n".join(parts)


def terms() -> str:
    """Return the page of the glossary's terms."""
    lines = [MADE, "# Glossary\n\nOne term per concept; column names and category values of the tables are its keys.\n"]
    lines += ["| key | English | 中文 |", "|---|---|---|"]
    lines += [f"| `{key}` | {t['en']} | {t['zh']} |".replace("\\|", "|") for key, t in sorted(glossary().items())]
    return "\n".join(lines) + "\n"


def readme() -> str:
    """Return README.md with each study's question and the answer that its published quick page gives."""
    lines = ["| study 研究 | question and answer | 问题与答案 |", "|---|---|---|"]
    for study in paths.STUDIES:
        results, _ = read_page(paths.REPORTS / "quick" / f"{study}.html")
        if results is None:
            lines.append(f"| `{study}` | not published yet | 尚未发布 |")
            continue
        said = [f"{results['question'][lang]} **{results.get('short', results['answer'])[lang]}**" for lang in ("en", "zh")]
        lines.append(f"| [`{study}`](reports/quick/{study}.html) | " + " | ".join(t.replace("|", "\\|") for t in said) + " |")
    text = (paths.ROOT / "README.md").read_text(encoding="utf8")
    head, rest = text.split(ANSWERS[0])
    return head + ANSWERS[0] + "\n" + "\n".join(lines) + "\n" + ANSWERS[1] + rest.split(ANSWERS[1])[1]


def headline() -> bytes:
    """Return the README's figure: the one that heads the published quick page of `vit_scaling`."""
    return base64.b64decode(read_page(paths.REPORTS / "quick" / "vit_scaling.html")[1])


def write_cells() -> None:
    """Write every notebook's cell of parameters from the study's Config, and bring the pairs in step."""
    for study in paths.STUDIES:
        file = paths.NOTEBOOKS / f"{study}.py"
        head, rest = file.read_text(encoding="utf8").split(CELL, 1)
        cell = importlib.import_module(f"lib.studies.{study}").Config.cell()
        write_text(file, f"{head}{CELL}{cell}\n\n# %%{rest.split('# %%', 1)[1]}")
    pairs.write(paths.NOTEBOOKS)


PAGES = {"../README.md": readme, "parameters.md": parameters, "glossary.md": terms}


def main(folder: Path = paths.ROOT / "docs") -> None:
    """Write every page and the README's figure."""
    (folder / "images" / "headline.png").write_bytes(headline())
    write_cells()
    for name, make in PAGES.items():
        write_text(folder / name, make())


if __name__ == "__main__":
    main()
