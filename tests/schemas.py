"""The JSON Schemas that come with releasekit, and what a document must pass."""

from __future__ import annotations

import json
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))
    for file in files("releasekit").joinpath("schemas").iterdir()
}
_REGISTRY: Final = Registry().with_resources(
    (f"{name}.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
_FORMATS: Final = FormatChecker(formats=())


@_FORMATS.checks("date-time", ValueError)  # type: ignore[untyped-decorator]
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def problems(name: str, document: Any) -> list[str]:  # noqa: ANN401  # any JSON
    """Say what a document has that its schema does not allow, or lacks."""
    validator = Draft202012Validator(SCHEMAS[name], registry=_REGISTRY, format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def checked(name: str, text: str) -> Any:  # noqa: ANN401  # any JSON
    """Read a document, which must be of a schema."""
    document = json.loads(text)
    assert problems(name, document) == []
    return document
