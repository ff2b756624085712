"""Typed values from outside, JSON or parameters: what does not fit is one sentence per problem, and what would be right."""

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

LONGEST = 120  # characters of a value that an error repeats


class Schema(BaseModel):
    """Immutable, strictly typed values; an unknown or mistyped key is an error that names the nearest key."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _names_stand_once(self) -> Self:
        """Refuse a list of texts that names something twice: it would be counted or trained twice."""
        for key in type(self).model_fields:
            values = getattr(self, key)
            texts = [v for v in values if isinstance(v, str)] if isinstance(values, list) else []
            twice = next((v for i, v in enumerate(texts) if v in texts[:i]), None)
            if twice is not None:
                raise ValueError(f"Parameter '{key}' names {twice!r} twice: once is right")
        return self

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Validate `values`; raise ValueError with one sentence per problem: which key, what it is, what would be right."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ValueError(" ".join(_sentence(cls, e) for e in error.errors())) from None


def _sentence(cls: type[Schema], error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or cls.__name__
    value = error["input"]
    if error["type"] == "missing":
        return f"Parameter '{key}' is missing."
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, cls.model_fields, n=1, cutoff=0.5)
        known = f"did you mean '{near[0]}'?" if near else f"the known ones are {', '.join(cls.model_fields)}."
        return f"Unknown parameter '{key}': {known}"
    if isinstance(value, str) and error["type"] in ("float_type", "int_type") and _is_number(value):
        return f"Parameter '{key}' is the text '{value}', not a number: YAML reads 1e-3 as text, write 1.0e-3."
    if error["type"] == "value_error":
        return f"{error['ctx']['error']}".rstrip(".") + "."
    message = error["msg"].split("should ", 1)[-1]
    shown = repr(value)
    return f"Parameter '{key}' is {shown if len(shown) <= LONGEST else shown[:LONGEST] + '…'}, but it should {message}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
