"""The ledger of a study, notebooks/claims/<study>.yaml: its claims, and where its document contradicts itself.

title: {zh: ..., en: ...}
question: {zh: ..., en: ...}
header: {experiment_id: ..., author: ..., date: ..., project: ..., topic: ..., mvp: ..., model_version: ...}
answer: {zh: ..., en: ...}           # with facts of the run; `short` likewise, for the first screen
claims:
  H3:
    zh: 分段均值优于全局平均。
    en: Segment means beat the global mean.
    holds: "> 0"                     # ">= 0.5, refuted < 0.4", "within 0.02"; a number may be a path of reported.yaml, or config.name
    metric: delta_r2                 # a key of sentences.yaml, which says the result where `says` does not
    group: pooling                   # a term of the glossary
    key: true                        # one of the conclusions that the document itself draws
    reported: latent_extraction.gains.pooling
    facts: {epoch: 20}               # numbers of the texts; also `reported.path` and `config.name`
    says: {supported: {zh: ..., en: ...}}   # or one {zh, en} for all three verdicts, or another key of sentences.yaml
    at: tab-costs                    # what decides it, if not the last figure or table shown
texts:                                       # what a figure, a table or a paragraph says, by its name
  fig-scaling: {zh: ..., en: ...}
facts:                                       # key numbers
  r2: {zh: ..., en: ..., unit: dex, reported: mlp_head.test_r2}
contradictions:
  - {zh: ..., en: ..., facts: {...}, claims: [H3]}
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lib import paths
from lib.files import read_yaml
from lib.report.claims import Criterion
from lib.report.text import FOLDER, Pair, fields, pair, reported, term

VERDICTS = ("supported", "refuted", "inconclusive")
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?|[a-z_][\w.]*"
HOLDS = re.compile(rf"(?P<sign>>=?|<=?|within) *(?P<at>{NUMBER})(?:, *refuted *[<>] *(?P<refute>{NUMBER}))?")


class Said(BaseModel):
    """A text in both languages, whose facts are the same in each."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    zh: str
    en: str

    def fill(self, **facts: Any) -> Pair:
        """Return both sides with the facts that they use."""
        return pair(self.zh, self.en, **{k: v for k, v in facts.items() if k in fields(self.zh) | fields(self.en)})


class Claim(BaseModel):
    """One entry of the ledger."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    zh: str
    en: str
    holds: str
    metric: str
    group: str = ""
    key: bool = False
    reported: str | None = None
    facts: dict[str, Any] = {}
    says: dict[Literal["supported", "refuted", "inconclusive"], Said] | Said | str | None = None
    at: str | None = None

    @property
    def criterion(self) -> Criterion:
        """The one place where the threshold stands (zero where it is a parameter and there is no config to read it from)."""
        return self.criterion_of(None)

    def criterion_of(self, config: Any) -> Criterion:
        """Return the criterion of a run: a threshold is a number, a figure of reported.yaml or a parameter."""
        found = HOLDS.fullmatch(self.holds)
        if found is None:
            raise ValueError(
                f"it holds {self.holds!r}, which should read like '>= 0.5', '> 0, refuted < -0.1' or 'within 0.02'"
            )
        direction = {">": "gt", "<": "lt", "w": "within"}[found["sign"][0]]
        refute = None if found["refute"] is None else _number(found["refute"], config)
        return Criterion(direction, _number(found["at"], config), refute)

    def text(self, config: Any) -> Pair:
        """Return the claim in both languages, with its facts filled in."""
        return Said(zh=self.zh, en=self.en).fill(**self.known(config))

    def known(self, config: Any) -> dict[str, Any]:
        """Return the facts of its texts: typed ones, those of reported.yaml and of the parameters, and the threshold."""
        return {k: _fact(v, config) for k, v in self.facts.items()} | {"threshold": self.criterion_of(config).threshold}

    @property
    def default(self) -> str:
        """The key of sentences.yaml for what it has no sentence of its own: its metric, or the key that `says` names."""
        return self.says if isinstance(self.says, str) else self.metric

    def sentence(self, verdict: str) -> Said:
        """Return what is said of a verdict: its own sentence, or the default one."""
        own = self.says.get(verdict) if isinstance(self.says, dict) else self.says if isinstance(self.says, Said) else None
        return own or Said(**{lang: sentences()[self.default][lang] for lang in ("zh", "en")})


class Fact(Said):
    """What a key number is, its unit, and the figure of reported.yaml that stands beside it."""

    unit: str = ""
    reported: str | None = None


class Ledger(BaseModel):
    """Title, question, header, answer, claims by id, other texts and key numbers by name, and contradictions of a study."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    title: Said
    question: Said
    header: dict[str, str]
    answer: Said | None = None
    short: Said | None = None
    claims: dict[str, Claim]
    texts: dict[str, Said] = {}
    facts: dict[str, Fact] = {}
    contradictions: list[dict[str, Any]] = []

    def text(self, name: str, /, **facts: Any) -> Pair:
        """Return a text with the facts that it uses."""
        if name not in self.texts:
            raise ValueError(f"The ledger has no text '{name}'; its texts are {sorted(self.texts)}.")
        return self.texts[name].fill(**facts)

    def fact(self, name: str) -> Fact:
        """Return what a key number is."""
        if name not in self.facts:
            raise ValueError(f"The ledger has no fact '{name}'; its facts are {sorted(self.facts)}.")
        return self.facts[name]

    def answered(self, **facts: Any) -> dict[str, Pair]:
        """Return `answer` and `short` with the numbers of the run, as `Report.finish` takes them."""
        return {name: said.fill(**facts) for name, said in (("answer", self.answer), ("short", self.short)) if said}

    def headed(self, config: Any) -> dict[str, str]:
        """Return the header with the parameters and reported figures that it names."""
        return {name: str(_fact(value, config)) for name, value in self.header.items()}


@cache
def load(study: str, folder: Path | None = None) -> Ledger:
    """Read and check a study's ledger; what is wrong in it is a ValueError that names the claim."""
    file = (folder or paths.NOTEBOOKS / "claims") / f"{study}.yaml"
    try:
        found = Ledger.model_validate(read_yaml(file, "Ledger"))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    texts = {name: said for name, said in (("answer", found.answer), ("short", found.short)) if said} | found.texts
    for kind, entries in (("claim", found.claims), ("text", texts), ("fact", found.facts)):
        for key, entry in entries.items():
            try:
                _check(entry) if isinstance(entry, Claim) else _check_text(entry)
            except (ValueError, KeyError) as error:
                raise ValueError(f"{file}: {kind} {key}: {str(error).strip(chr(39))}.") from None
    return found


@cache
def sentences() -> dict[str, dict[str, str]]:
    """Return what is said of a result by its metric: {metric: {zh, en, format}}."""
    return read_yaml(FOLDER / "sentences.yaml", "Sentences")


def interval(measured: Any, spec: str) -> Pair:
    """Write an interval for a sentence, in brackets; nothing where there is none."""
    if measured.low is None:
        return {"zh": "", "en": ""}
    low, high = (f"{v:{spec}}" for v in (measured.low, measured.high))
    return {"zh": f"（区间 {low} 至 {high}）", "en": f" (interval {low} to {high})"}


def spoken(claim: Claim, verdict: str, measured: Any, config: Any) -> Pair:
    """Return the sentence of a verdict with the run's numbers; facts that are terms of the glossary are said in both languages.

    Every verdict's sentence is filled, so that none can be broken.
    """
    spec = sentences().get(claim.default, {}).get("format", ".3g")
    numbers = {"value": measured.value, "low": measured.low, "high": measured.high, "interval": interval(measured, spec)}
    facts = claim.known(config) | numbers | {k: term(v) or v for k, v in measured.facts.items()}
    return {v: claim.sentence(v).fill(**facts) for v in VERDICTS}[verdict]


def _check(claim: Claim) -> None:
    if claim.criterion and fields(claim.zh) != fields(claim.en):
        raise ValueError(f"its texts differ in their facts: {fields(claim.zh) ^ fields(claim.en)}")
    lost = fields(claim.en) - set(claim.facts) - {"threshold"}
    if lost:
        raise ValueError(f"its text uses {lost}, which `facts` does not have")
    complete = isinstance(claim.says, Said) or (isinstance(claim.says, dict) and set(claim.says) == set(VERDICTS))
    if claim.default not in sentences() and not complete:
        raise ValueError(
            f"metric '{claim.default}' has no sentence in sentences.yaml, nor does the claim say all three verdicts"
        )
    for verdict in VERDICTS:
        said = claim.sentence(verdict)
        if fields(said.zh) != fields(said.en):
            raise ValueError(f"what it says where {verdict} differs in its facts: {fields(said.zh) ^ fields(said.en)}")
    if claim.reported is not None:
        reported(claim.reported)
    if claim.group and term(claim.group) is None:
        raise ValueError(f"its group '{claim.group}' is no term of the glossary")


def _check_text(text: Said) -> None:
    if fields(text.zh) != fields(text.en):
        raise ValueError(f"its texts differ in their facts: {fields(text.zh) ^ fields(text.en)}")
    if isinstance(text, Fact) and text.reported is not None:
        reported(text.reported)


def _number(text: str, config: Any) -> float:
    if text.startswith("config."):
        return 0.0 if config is None else float(_fact(text, config))
    return float(reported(text)) if text[0].isalpha() or text[0] == "_" else float(text)


def _fact(value: Any, config: Any) -> Any:
    if isinstance(value, str) and value.startswith("config."):
        return getattr(config, value.removeprefix("config."))
    if isinstance(value, str) and value.startswith("reported."):
        return reported(value.removeprefix("reported."))
    return value


def contradictions() -> list[dict[str, Any]]:
    """Return where the documents contradict themselves: study, sentence with the figures of reported.yaml, claims that test it."""
    found = []
    for file in (paths.NOTEBOOKS / "claims" / f"{study}.yaml" for study in paths.STUDIES):
        for e in load(file.stem).contradictions if file.is_file() else []:
            facts = {name: reported(path) for name, path in e.get("facts", {}).items()}
            found.append({"study": file.stem, "claims": e.get("claims", [])} | pair(e["zh"], e["en"], **facts))
    return found
