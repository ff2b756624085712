"""results.json: the contract between a run, its page, the index, a comparison and any check (schema 2)."""

import re
import unicodedata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.files import read_json
from lib.report.claims import Direction, Verdict
from lib.report.text import Pair

SCHEMA = 2
EN_WORDS, ZH_WIDTH = 40, 80  # of the short answer: English words; width in Chinese characters
Source = Literal["document", "public"]


class Record(BaseModel):
    """A strict, immutable part of results.json: no unknown key, no value of another type, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Said(Record):
    """A text in both languages."""

    zh: str
    en: str


class Threshold(Record):
    """When a claim holds; see `Criterion`."""

    direction: Direction
    threshold: float
    refute: float | None


class Claim(Said):
    """A judged claim.

    key     one of the handful that the document calls its conclusions;  group  which question it belongs to
    source  the function that measured it;  seeds  training seeds behind it (0: nothing was trained; None: not said)
    tool    the program outside Python that judged it (ngspice), where one did
    """

    id: str = Field(min_length=1)
    metric: str
    value: float | None
    low: float | None
    high: float | None
    criterion: Threshold
    verdict: Verdict
    why_not: str | None = None
    why_not_zh: str | None = None
    text: Said
    reported: float | None = None
    reported_source: Source | None = None
    anchor: str = ""
    key: bool = False
    group: str = ""
    source: str = ""
    seeds: int | None = Field(None, ge=0)
    tool: str = ""

    @model_validator(mode="after")
    def _a_verdict_has_a_value(self) -> "Claim":
        if (self.verdict == "not_tested") != (self.value is None):
            raise ValueError(f"claim '{self.id}' is {self.verdict} with the value {self.value}")
        return self


class Fact(Said):
    """A key number; `source` is the function that computed it."""

    value: float | int | str | None
    unit: str
    reported: float | int | str | list | None = None
    reported_source: Source | None = None
    source: str = ""


class Data(Record):
    """Where the data came from; a study may say more."""

    model_config = ConfigDict(extra="allow")

    source: str
    name: str
    fingerprint: str
    n_train: int
    n_dropped: int


class Provenance(Record):
    """What made the results; `computed_with`: step -> package -> the version that its cached result was computed with."""

    commit: str
    dirty: bool
    packages: dict[str, str]
    computed_with: dict[str, dict[str, str]] = {}
    device: str
    precision: str = ""
    threads: int
    seconds: float
    command: str


class Results(Record):
    """What one complete run found."""

    schema_: Literal[2] = Field(alias="schema")
    study: str
    experiment_id: str
    profile: str
    status: Literal["complete"]
    title: Said
    question: Said
    answer: Said
    short: Said
    header: dict[str, str]
    figure: str
    data: Data
    claims: list[Claim]
    facts: dict[str, Fact]
    tables: dict[str, str]
    figures: dict[str, str]
    model: Literal["model/"] | None
    params: dict[str, Any]
    seeds: list[int]
    provenance: Provenance
    implications: list[Said]

    @model_validator(mode="after")
    def _claims_stand_once(self) -> "Results":
        ids = [c.id for c in self.claims]
        twice = next((i for i in ids if ids.count(i) > 1), None)
        if twice is not None:
            raise ValueError(f"claim '{twice}' stands twice")
        return self

    @model_validator(mode="after")
    def _the_short_answer_is_short(self) -> "Results":
        if len(self.short.en.split()) > EN_WORDS or zh_width(self.short.zh) > ZH_WIDTH:
            raise ValueError(f"the short answer has more than {EN_WORDS} English words or {ZH_WIDTH} Chinese characters")
        return self


def read_results(file: Path) -> dict[str, Any]:
    """Read a results.json of this schema or of an older one, brought up to it; ValueError where it is something else."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder: give the results.json in it.")
    return checked(upgraded(read_json(file, ("schema", "study", "claims"))), str(file))


def checked(found: dict[str, Any], name: str = "results.json") -> dict[str, Any]:
    """Return results as the model has them, every optional field written out; ValueError with the first thing that is wrong."""
    try:
        return Results.model_validate(found).model_dump(by_alias=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(str(part) for part in wrong["loc"])
        said = f"{place}: {wrong['msg']}" if place else wrong["msg"].removeprefix("Value error, ")
        given = "" if isinstance(wrong["input"], dict | list) else f" (it has {str(wrong['input'])[:60]!r})"
        raise ValueError(f"{name} is no results.json of schema {SCHEMA}: {said}{given}.") from None


def upgraded(found: dict[str, Any]) -> dict[str, Any]:
    """Return results of schema 1 with what schema 2 adds, as far as they hold it; others as they are."""
    if found["schema"] != 1:
        return found
    answer, params = found.get("answer"), found.get("params")
    more = {"short": shortened(answer)} if isinstance(answer, dict) and set(answer) == {"zh", "en"} else {}
    seed = params.get("seed") if isinstance(params, dict) else None
    return {"implications": [], "seeds": [] if seed is None else [seed]} | found | more | {"schema": SCHEMA}


def shortened(answer: Pair) -> Pair:
    """Return the first sentence of an answer, fitted to the first screen."""
    return fitted({"zh": re.split(r"(?<=[。！？])", answer["zh"])[0], "en": re.split(r"(?<=[.!?])\s", answer["en"])[0]})


def fitted(short: Pair) -> Pair:
    """Return a short answer, cut and ended by an ellipsis where the first screen has no room for it: no run fails for that."""
    zh, en = short["zh"], short["en"]
    words = en.split(" ")
    cut_en = en if len(words) <= EN_WORDS else f"{_whole(' '.join(words[:EN_WORDS]))}…"
    cut_zh = zh
    while zh_width(cut_zh) > ZH_WIDTH - (cut_zh != zh):
        cut_zh = cut_zh[:-1]
    return {"zh": zh if cut_zh == zh else f"{_whole(cut_zh)}…", "en": cut_en}


def zh_width(text: str) -> float:
    """Return how wide a text is in Chinese characters; a Latin letter or a digit is half of one."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WFA" else 0.5 for c in text)


def _whole(text: str) -> str:
    """Cut a formula or a code span that a cut has left open, and what it would hang from."""
    for mark in "`$":
        if text.count(mark) % 2:
            text = text[: text.rindex(mark)]
    return text.rstrip(" ,;:(（，；：、")
