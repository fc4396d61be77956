"""Print the JSON schema of the gateway's API, from which the pages' TypeScript types are made.

`npm run types` in inspectors/web runs this and writes src/types/api.d.ts; `npm run types:check` fails where
they differ.
"""

import json
import sys
from typing import Any

from diffrun_contracts.api import Api


def simplified(node: Any) -> Any:
    """The schema as the pages meet it on the wire.

    1. A reference stands alone: words beside it would make a second type of the same shape.
    2. Only models and enums keep their titles; a field's title would become a type of its own.
    3. An answer leaves out what is null and nothing else, so all that cannot be null is there.
    """
    if isinstance(node, list):
        return [simplified(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    named = "properties" in node or "enum" in node
    result = {
        key: simplified(value) for key, value in node.items() if named or key != "title" or isinstance(value, dict)
    }
    if "properties" in node:
        result["required"] = [name for name, field in node["properties"].items() if not _may_be_null(field)]
    return result


def _may_be_null(field: dict[str, Any]) -> bool:
    return any(choice.get("type") == "null" for choice in field.get("anyOf", []))


def schema() -> dict[str, Any]:
    """The schema of every answer and message, as they stand on the wire."""
    return dict(simplified(Api.model_json_schema(by_alias=True, mode="serialization")))


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
