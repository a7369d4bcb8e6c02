"""What a stage's properties may be, in words: for `inspect` and for the errors of pipeline.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stage import Params

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_LIMITS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "to {}"),
    ("exclusiveMaximum", "below {}"),
)


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a stage: `type` and `range` in words, `default` as YAML would say it.

    `unit` and `description` may be empty; `required` has no default.
    """

    name: str
    type: str
    range: str
    default: Any
    required: bool
    unit: str
    description: str

    @property
    def expected(self) -> str:
        """What to write, as in `a number from 0 to 1 s`."""
        words = (self.type, self.range, self.unit)
        return " ".join(word for word in words if word)


@cache
def properties(params: type[Params]) -> tuple[Property, ...]:
    """Return the properties of `params` in the order they are declared."""
    schema = params.model_json_schema()
    shared = schema.get("$defs", {})
    required = frozenset(schema.get("required", ()))
    fields = schema.get("properties", {}).items()
    return tuple(_property(name, field, shared, name in required) for name, field in fields)


def _property(name: str, field: dict[str, Any], shared: dict[str, Any], required: bool) -> Property:
    options = [_target(option, shared) for option in field.get("anyOf", [_target(field, shared)])]
    types = list(dict.fromkeys(_type(option, shared) for option in options))
    ranges = [text for text in map(_range, options) if text]
    return Property(
        name=name,
        type=" or ".join(types),
        range=" or ".join(ranges),
        default=field.get("default"),
        required=required,
        unit=str(field.get("unit", "")),
        description=field.get("description", ""),
    )


def _target(field: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref` to the definition it names."""
    reference: str = field.get("$ref", "")
    target: dict[str, Any] = shared.get(reference.rpartition("/")[2], field)
    return target


def _type(field: dict[str, Any], shared: dict[str, Any]) -> str:
    if "const" in field:
        return str(field["const"])
    if "enum" in field:
        return "one of " + ", ".join(map(str, field["enum"]))
    words = field.get("pattern", "").strip("^$()").split("|")
    if len(words) > 1:
        return "one of " + ", ".join(word.replace(r".+\.", "PATH.") for word in words)
    name = _TYPES.get(field.get("type", ""), "any value")
    if "items" in field:
        return f"a list of {_type(_target(field['items'], shared), shared)}"
    if "prefixItems" in field:
        return f"a list of {len(field['prefixItems'])} values"
    return name


def _range(field: dict[str, Any]) -> str:
    return " ".join(text.format(f"{field[key]:g}") for key, text in _LIMITS if key in field)
