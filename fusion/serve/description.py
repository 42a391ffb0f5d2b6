"""Operations of the API in words, read from its OpenAPI description."""

from __future__ import annotations

from typing import Any


def operations(description: dict[str, Any]) -> list[dict[str, Any]]:
    """List the operations of an OpenAPI description.

    Args:
        description: of the API.

    Returns:
        Per operation ``method``, ``path``, ``about`` and ``fields`` (``name``, ``about``,
        ``required``).
    """
    found = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            found.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "about": operation.get("description", ""),
                    "fields": _fields(operation, description),
                }
            )
    return found


def _fields(operation: dict[str, Any], description: dict[str, Any]) -> list[dict[str, Any]]:
    """Parameters of the address, then fields of the body."""
    fields = []
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            fields.append(_field(parameter["name"], parameter, parameter.get("required", False)))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        if name:
            schema = description["components"]["schemas"][name]
        required = schema.get("required", [])
        for field, about in schema.get("properties", {}).items():
            fields.append(_field(field, about, field in required))
    return fields


def _field(name: str, about: dict[str, Any], required: bool) -> dict[str, Any]:
    return {"name": name, "about": about.get("description", ""), "required": required}
