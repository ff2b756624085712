"""Parameters of a study: names, defaults, units and checks live here; YAML holds values only."""

import ast
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from lib import paths
from lib.files import parse_yaml, read_yaml
from lib.schema import Schema

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # a folder or run name: no separators, so that no value can leave its directory
DEVICE = r"^(auto|cpu|cuda(:[0-9]{1,2})?)$"
Count = Annotated[int, Field(ge=1)]  # elements of lists
Level = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
LINE = 128  # characters of a line in a notebook
PARAMETERS_COMMENT = "# Parameters"  # first line of the cell that papermill injects


def read_params(path: str | Path) -> dict[str, Any]:
    """Read a params file: flat YAML, `name: value` lines; ValueError names the file."""
    file = paths.resolve(path)
    values = read_yaml(file, "Params file")
    if not isinstance(values, dict):
        raise ValueError(f"Params file {file} must hold `name: value` lines, not {type(values).__name__}.")
    return {str(k): v for k, v in values.items()}


def param(default: Any, en: str, zh: str, **checks: Any) -> Any:
    """Declare a parameter with its meaning in both languages; `checks` are pydantic's (ge, le, gt, pattern, ...)."""
    checks.setdefault("validate_default", True)
    if isinstance(default, list | dict):
        return Field(default_factory=lambda: type(default)(default), description=en, json_schema_extra={"zh": zh}, **checks)
    return Field(default, description=en, json_schema_extra={"zh": zh}, **checks)


class StudyConfig(Schema):
    """The parameters that every notebook has."""

    study: ClassVar[str]
    first: ClassVar[tuple[str, ...]] = ()  # parameters of the study that a reader may want to change, shown before the rest

    profile: Literal["smoke", "quick", "full"] = param("smoke", "profile: smoke, quick or full", "运行档：smoke、quick 或 full")
    seed: int = param(0, "random seed", "随机种子", ge=0, lt=2**31)
    device: str = param("auto", "auto, cpu, cuda or cuda:N", "计算设备：auto、cpu、cuda 或 cuda:N", pattern=DEVICE)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = param(
        "auto",
        "arithmetic of training; auto: bf16-mixed on a GPU, 32-true on a CPU",
        "训练精度；auto：GPU 用 bf16-mixed，CPU 用 32-true",
    )
    num_threads: int = param(
        0,
        "CPU threads (0: OMP_NUM_THREADS, or else all cores)",
        "CPU 线程数（0：取 OMP_NUM_THREADS，未设则用全部核心）",
        ge=0,
        le=4096,
    )
    out_dir: str = param("", "folder of all results (empty: build/<profile>/<study>)", "结果目录（空：build/<运行档>/<研究>）")
    data_dir: str = param("", "folder of the user's data (empty: embedded default)", "用户数据目录（空：内置默认数据）")
    force: bool = param(False, "ignore the run cache", "忽略运行缓存")
    lang: Literal["zh", "en"] = param("zh", "language shown first", "首先显示的语言")

    @model_validator(mode="before")
    @classmethod
    def _read_inline_lists(cls, values: Any) -> Any:
        """Read "[a, b]" given on papermill's command line (`-p` passes text) as the list that it spells."""
        if not isinstance(values, Mapping):
            return values
        return {k: _inline(v) if _takes_list(cls, k) else v for k, v in values.items()}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a flat YAML params file."""
        return cls.checked(read_params(path))

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Validate the parameters of a notebook from its `globals()`, those that papermill injected included."""
        names = _parameter_names(namespace)
        return cls.checked({k: namespace[k] for k in names if k in namespace})

    @classmethod
    def cell(cls) -> str:
        """Return the notebook's cell of parameters: typed, commented in both languages, those that matter most first."""
        few = ["profile", "seed", "device", "data_dir", "out_dir", *cls.first]
        rest = [name for name in cls.model_fields if name not in few]
        heads = ("# 常用参数 / the parameters that matter most", "# 其余参数 / the rest")
        return "\n\n".join("\n".join([head, *map(cls._line, names)]) for head, names in zip(heads, (few, rest), strict=True))

    @classmethod
    def _line(cls, name: str) -> str:
        field = cls.model_fields[name]
        value = field.get_default(call_default_factory=True)
        kind = f"list[{type(value[0]).__name__}]" if isinstance(value, list) and value else type(value).__name__
        shown = json.dumps(value) if isinstance(value, str | list) else value
        line = f"{name}: {kind} = {shown}  # "
        meaning = [field.json_schema_extra["zh"], field.description]
        if _width(line + " / ".join(meaning)) > LINE:  # what a value may be is told by docs/parameters.md and by the error
            meaning = [re.split(r"[：；（:;(]", text)[0].strip() for text in meaning]
        return line + " / ".join(meaning)

    def table(self) -> pd.DataFrame:
        """Return one row per parameter: name, value, meaning {"zh", "en"}."""
        rows = []
        for name, field in type(self).model_fields.items():
            meaning = {"zh": (field.json_schema_extra or {}).get("zh", ""), "en": field.description or ""}
            rows.append({"parameter": name, "value": str(getattr(self, name)), "meaning": meaning})
        return pd.DataFrame(rows)

    @model_validator(mode="after")
    def _results_keep_off_the_code(self) -> Self:
        paths.results(self.out_dir or paths.BUILD)
        return self

    @property
    def out(self) -> Path:
        """The absolute folder of this run's results."""
        return paths.resolve(self.out_dir or f"build/{self.profile}/{self.study}")


def _width(text: str) -> int:
    """Return how wide a text is: a Chinese character takes the room of two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def check_files(config: StudyConfig) -> None:
    """Raise ValueError where the files of a study of spectra do not belong together, or a folder is given without files."""
    paths_ = {name: getattr(config, name) for name in ("train_path", "val_path", "test_path")}
    given = [name for name, value in paths_.items() if value]
    if given and len(given) < 3:
        absent = next(name for name in paths_ if name not in given)
        raise ValueError(f"'{given[0]}' is given without '{absent}'; the three sets belong together.")
    if config.data_dir and not (given or getattr(config, "real_path", "")):
        raise ValueError("'data_dir' is given without 'train_path', 'val_path' and 'test_path': name the files in it.")
    window = config.window_aa
    if len(window) not in (0, 2) or (window and not 0 < window[0] < window[1]):
        raise ValueError(f"'window_aa' is {window}; give [low, high] in Angstrom or an empty list.")


def _takes_list(cls: type[StudyConfig], key: str) -> bool:
    field = cls.model_fields.get(key)
    return field is not None and "list" in str(field.annotation)


def _inline(value: Any) -> Any:
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            return parse_yaml(value)
        except ValueError:
            return value
    return value


def _parameter_names(namespace: Mapping[str, Any]) -> list[str]:
    """Names assigned by the `parameters` cell and by papermill's injected cell; without cells, every plain public value."""
    cells = [c for c in namespace.get("In", []) if isinstance(c, str)]
    injected = [c for c in cells if c.lstrip().startswith(PARAMETERS_COMMENT)]
    declared = [c for c in cells if "profile" in _assigned(c) and c not in injected][-1:]
    if cells:
        return list(dict.fromkeys(name for c in declared + injected for name in _assigned(c)))
    hidden = (ModuleType, type)
    return [k for k, v in namespace.items() if not (k.startswith("_") or isinstance(v, hidden) or callable(v))]


def _assigned(cell: str) -> list[str]:
    try:
        body = ast.parse(cell).body
    except SyntaxError:  # a cell of magics is no parameters cell
        return []
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return [t.id for t in targets if isinstance(t, ast.Name)]
