"""The bilingual report of a run: text, tables, figures, claims and facts, and the results.json that they add up to."""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from lib.config import StudyConfig
from lib.evidence import Measured
from lib.files import naming, write_csv, write_json
from lib.progress import LOG, watch
from lib.report import display, ledger
from lib.report.claims import Criterion
from lib.report.failure import on_failure
from lib.report.publish import command, open_staging, publish
from lib.report.results import SCHEMA, checked, fitted, shortened
from lib.report.text import Pair, fields, number, pair, reported, reported_source, term

__all__ = ["Criterion", "Report", "number", "pair", "reported", "reported_source", "term"]

HEADER = ("experiment_id", "author", "date", "project", "topic", "mvp", "model_version")


class Report:
    """Collects what a notebook shows and publishes it at the end; until then the last good results stay untouched.

    words  title, question, header, claims and other texts; those of notebooks/claims/<study>.yaml unless given
    """

    def __init__(self, config: StudyConfig, *, words: ledger.Ledger | None = None) -> None:
        self.config, self.words = config, ledger.load(config.study) if words is None else words
        self.title, self.question = self.words.title.fill(), self.words.question.fill()
        self.header = self.words.headed(config)
        missing = [k for k in HEADER if k not in self.header]
        if missing:
            raise ValueError(f"The header of a report lacks {missing}.")
        self.out = config.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.staging = open_staging(self.out)
        self.hypotheses: dict[str, Pair] = {key: claim.text(config) for key, claim in self.words.claims.items()}
        self.shown = ""  # the last figure or table: what a verdict under it is decided by
        self.claims: list[dict[str, Any]] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, str] = {}
        self.figures: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        watch(self.out)
        on_failure(config.study, self.out)
        LOG.info("study %s, profile %s, seed %d", config.study, config.profile, config.seed)

    @property
    def model_dir(self):
        """The folder for the model that this run publishes."""
        return self.staging / "model"

    def describe_data(self, *, source: str, name: str, fingerprint: str, n_train: int, n_dropped: int, **more: Any) -> None:
        """State where the data came from; `source` is embedded, csv, hdf5, ...; `label=pair(...)` is what a page calls them."""
        counted = {"n_train": n_train, "n_dropped": n_dropped}
        self.data = {"source": source, "name": name, "fingerprint": fingerprint, **counted, **more}

    def text(self, zh: str, en: str, **facts: Any) -> None:
        """Show a paragraph (markdown) with numbers of this run."""
        both = pair(zh, en, **facts)
        display.emit("text", both | {"facts": sorted(facts)}, f"{both['zh']}\n\n{both['en']}")

    def say(self, name: str, **facts: Any) -> None:
        """Show a paragraph of the ledger with numbers of this run; nothing where the run has none for it."""
        if facts:
            both = self.words.text(name, **facts)
            display.emit("text", both | {"facts": sorted(facts)}, f"{both['zh']}\n\n{both['en']}")

    def table(
        self, name: str, frame: pd.DataFrame, zh: str = "", en: str = "", *, source: Callable | None = None, digits: int = 4,
        **facts: Any,
    ) -> None:  # fmt: skip
        """Show a table and write it to tables/<name>.csv; columns are keys of the glossary, `source` is what computed it.

        zh, en  its caption (left out, here and in `figure`: the ledger's text `tab-<name>` or `fig-<name>`)
        """
        payload = display.table_payload(frame, digits)
        plain = frame.map(lambda v: v["en"] if isinstance(v, dict) else v)
        write_csv(self.staging / "tables" / f"{name}.csv", plain)
        self.tables[name] = f"tables/{name}.csv"
        self.shown = f"tab-{name}"
        caption = pair(zh, en, **facts) if zh else self.words.text(self.shown, **facts)
        extra = {"id": self.shown, "caption": caption, "file": self.tables[name], "origin": dotted(source)}
        extra["facts"] = sorted(facts)
        display.emit("table", payload | extra, f"{caption['zh']} / {caption['en']}\n\n{display.table_markdown(payload)}")

    def figure(self, name: str, drawn: Any, zh: str = "", en: str = "", *, alt: Pair | None = None, **facts: Any) -> None:
        """Show a figure (Axes, array of Axes, Figure or seaborn grid) and write it to figures/<name>.png."""
        import matplotlib.pyplot as plt

        figure = display.figure_of(drawn)
        image = display.png(figure)
        file = self.staging / "figures" / f"{name}.png"
        with naming(file):
            file.write_bytes(image)
        self.figures[name] = f"figures/{name}.png"
        self.shown = f"fig-{name}"
        caption = pair(zh, en, **facts) if zh else self.words.text(self.shown, **facts)
        payload = {"id": self.shown, "caption": caption, "alt": alt or display.describe(figure), "file": self.figures[name]}
        payload["facts"] = sorted(facts)
        plt.close(figure)
        display.emit("figure", payload, f"{caption['zh']}\n\n{caption['en']}", **{"image/png": display.encoded(image)})

    def code(self, function: Callable | type, zh: str, en: str) -> None:
        """Show the lines of lib that matter, from their source; folded on the page."""
        both, text = pair(zh, en), textwrap.dedent(inspect.getsource(function)).rstrip()
        payload = {"caption": both, "code": text, "origin": dotted(function)}
        display.emit("code", payload, f"{both['zh']} / {both['en']}\n\n```python\n{text}\n```")

    def conclusions(self) -> None:
        """List the claims that the document itself draws as its conclusions; the others stand under what decides them."""
        listed = [(name, text) for name, text in self.hypotheses.items() if self.words.claims[name].key]
        both = {lang: "\n".join(f"- **{name}** · {text[lang]}" for name, text in listed) for lang in ("zh", "en")}
        display.emit("text", both, f"{both['zh']}\n\n{both['en']}")

    def answer(self, **facts: Any) -> dict[str, Pair]:
        """Return the ledger's answer, whole and short, with the numbers of the run, as `finish` takes them."""
        return self.words.answered(**facts)

    def judge(self, **measured: Measured) -> dict[str, str]:
        """Give the verdicts on claims of the ledger, `H3=gap(...)`, under the figure or table shown last; return them by claim."""
        return {name: self._verdict(name, found) for name, found in measured.items()}

    def _verdict(self, name: str, found: Measured) -> str:
        self._open(name)
        claim = self.words.claims[name]
        criterion = claim.criterion_of(self.config)
        if found.value is None:
            verdict, said = "not_tested", {"why_not": found.why["en"], "why_not_zh": found.why["zh"], "text": found.why}
        else:
            verdict = criterion.verdict(found.value, found.low, found.high)
            said = {"why_not": None, "text": ledger.spoken(claim, verdict, found, self.config)}
        used = sorted(set().union(*(fields(said.en) for said in map(claim.sentence, ledger.VERDICTS))))
        self._judge(
            name, used, key=claim.key, group=claim.group, metric=claim.metric, value=found.value, low=found.low, high=found.high, criterion=criterion,
            verdict=verdict, reported_as=claim.reported, anchor=f"#{claim.at or self.shown}", source=found.source,
            seeds=found.seeds, tool=found.tool, **said,
        )  # fmt: skip
        return verdict

    def fact(
        self, name: str, value: float | int | str | None, zh: str, en: str, *, unit: str = "", reported_as: str | None = None,
        source: Callable | None = None,
    ) -> None:  # fmt: skip
        """Record a key number; `reported_as` is its path in reported.yaml, shown beside it, `source` what computed it."""
        value = value.item() if hasattr(value, "item") else value
        self.facts[name] = {
            "value": value, "unit": unit, "zh": zh, "en": en, "source": dotted(source),
            "reported": None if reported_as is None else reported(reported_as),
            "reported_source": None if reported_as is None else reported_source(reported_as),
        }  # fmt: skip

    def key_numbers(self, function: Callable[..., dict[str, Any]], *given: Any) -> None:
        """Record the key numbers that a function returns by name, with the ledger's words: zh, en, unit and reported figure."""
        for name, value in function(*given).items():
            said = self.words.fact(name)
            self.fact(name, value, said.zh, said.en, unit=said.unit, reported_as=said.reported, source=function)

    def finish(
        self, *, answer: Pair, provenance: dict[str, Any], figure: str, implications: Sequence[Pair] = (), short: Pair | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        """Show summary and provenance, write results.json and publish; refuses a hypothesis without a verdict.

        short  the answer in 40 English words and 80 Chinese characters, cut where it is longer; left out: its first sentence
        seeds  the seeds that trainings used; left out, it is the parameter `seed` alone
        """
        judged = {c["id"] for c in self.claims}
        if judged != set(self.hypotheses):
            raise ValueError(f"Hypotheses without a verdict: {sorted(set(self.hypotheses) - judged)}.")
        if figure not in self.figures:
            raise ValueError(f"The headline figure '{figure}' was not shown; the figures are {sorted(self.figures)}.")
        if not self.data:
            raise ValueError("A report states its data: call describe_data before finish.")
        more = {
            "short": shortened(answer) if short is None else fitted(short), "implications": list(implications),
            "seeds": [self.config.seed] if seeds is None else list(seeds),
        }  # fmt: skip
        results = checked(self._results(answer, provenance, figure) | more)
        write_json(self.staging / "results.json", results)
        publish(self.out)
        watch(None)
        display.emit("provenance", {"results": results}, f"`{results['provenance']['command']}`")
        display.emit("summary", {"results": results}, f"**{answer['zh']}**\n\n**{answer['en']}**")

    def _results(self, answer: Pair, provenance: dict[str, Any], figure: str) -> dict[str, Any]:
        config, declared = self.config, list(self.hypotheses)
        claims = sorted(self.claims, key=lambda c: declared.index(c["id"]))
        return {
            "schema": SCHEMA, "study": config.study, "experiment_id": self.header["experiment_id"], "profile": config.profile,
            "status": "complete", "title": self.title, "question": self.question, "answer": answer, "header": self.header,
            "figure": self.figures[figure], "data": self.data, "claims": claims, "facts": self.facts, "tables": self.tables,
            "figures": self.figures, "model": "model/" if any(self.model_dir.iterdir()) else None,
            "params": config.model_dump(), "provenance": provenance | {"command": command(config)},
        }  # fmt: skip

    def _open(self, name: str) -> None:
        if name not in self.hypotheses:
            raise ValueError(f"Claim '{name}' was not declared; the hypotheses are {sorted(self.hypotheses)}.")
        if name in {c["id"] for c in self.claims}:
            raise ValueError(f"Claim '{name}' is judged twice.")

    def _judge(
        self, name: str, used: list[str], *, criterion: Criterion, reported_as: str | None, source: Callable | None, **fields: Any
    ) -> None:  # fmt: skip
        claim = {
            "id": name, **self.hypotheses[name], **fields, "criterion": criterion.as_dict(),
            "source": dotted(source), "reported": None if reported_as is None else reported(reported_as),
            "reported_source": None if reported_as is None else reported_source(reported_as),
        }  # fmt: skip
        self.claims.append(claim)
        verdict = term(fields["verdict"])
        fallback = "\n\n".join(f"**{name} {verdict[lang]}** · {fields['text'][lang]}" for lang in ("zh", "en"))
        display.emit("claim", {"claim": claim, "facts": used}, fallback)


def dotted(source: Callable | str | None) -> str:
    """Return the dotted name of the function that computed something; empty where it is not said."""
    if source is None or isinstance(source, str):
        return source or ""
    return f"{source.__module__}.{source.__qualname__}"
