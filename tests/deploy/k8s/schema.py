"""Kubernetes' own schemas, made strict: a field that is not in them is an error, as is a value that the server refuses.

    schemas = Schemas("tests/data/k8s")
    schemas.faults(document)   # ["1.32: spec.replicas: 'two' is not of type 'integer'", …]
"""

import functools
import gzip
import json
import os

import jsonschema
import yaml

VERSIONS = ("1.32", "1.35")
_GATEWAY = "gateway-api-v1.6.1"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_QUANTITY_PATTERN = r"^[+-]?(\d+(\.\d*)?|\.\d+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?\d+))?$"


class _StrictLoader(yaml.SafeLoader):
    """Refuses what a YAML parser forgives: a key that is there twice."""


def _mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(text):
    """Every document of the text that is not empty. @raises yaml.YAMLError"""
    return [document for document in yaml.load_all(text, _StrictLoader) if document is not None]


def _read(directory, name):
    with gzip.open(os.path.join(directory, name + ".json.gz"), "rt", encoding="utf-8") as file:
        return json.load(file)


def _close(schema):
    """Unknown fields become errors, at every depth."""
    if isinstance(schema, list):
        for part in schema:
            _close(part)
        return
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and \
            not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    for key, part in schema.items():
        if key == "properties":
            for inner in part.values():
                _close(inner)
        elif key not in ("default", "enum", "example"):
            _close(part)


def _add_enums(schemas, directory):
    with open(os.path.join(directory, "enums.json"), encoding="utf-8") as file:
        enums = json.load(file)
    for name, fields in enums.items():
        for field, values in fields.items():
            place = schemas[name]["properties"][field.removesuffix("[]")]
            (place["items"] if field.endswith("[]") else place)["enum"] = values


def _as_json_schema(schema):
    """A custom resource's schema in the words of JSON Schema."""
    if isinstance(schema, list):
        for part in schema:
            _as_json_schema(part)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    for key, part in schema.items():
        if key == "properties":
            for inner in part.values():
                _as_json_schema(inner)
        elif key not in ("default", "enum", "example"):
            _as_json_schema(part)


def _path(error):
    text = ""
    for part in error.absolute_path:
        text += f"[{part}]" if isinstance(part, int) else ("." if text else "") + str(part)
    return text or "the document"


class Schemas:
    def __init__(self, directory):
        gateway = _read(directory, _GATEWAY)
        self._validators = {version: self._of_version(directory, version, gateway) for version in VERSIONS}

    @staticmethod
    def _of_version(directory, version, gateway):
        """A validator for each (apiVersion, kind)."""
        schemas = _read(directory, "openapi-v3-" + version)["components"]["schemas"]
        for name, schema in schemas.items():
            if not name.endswith(".JSONSchemaProps"):  # its own field is called `properties`
                _close(schema)
        schemas[_QUANTITY] = {"type": ["number", "string"], "pattern": _QUANTITY_PATTERN}
        _add_enums(schemas, directory)
        roots = {}
        for name, schema in schemas.items():
            for kind in schema.get("x-kubernetes-group-version-kind", []):
                api = "/".join(part for part in (kind["group"], kind["version"]) if part)
                roots[(api, kind["kind"])] = name
        for crd in json.loads(json.dumps(gateway["crds"])):
            _as_json_schema(crd["schema"])
            _close(crd["schema"])
            crd["schema"]["properties"]["metadata"] = {"$ref": f"#/components/schemas/{_META}"}
            name = f"{crd['group']}.{crd['version']}.{crd['kind']}"
            schemas[name] = crd["schema"]
            roots[(f"{crd['group']}/{crd['version']}", crd["kind"])] = name
        components = {"schemas": schemas}
        return {
            kind: jsonschema.Draft7Validator({"$ref": f"#/components/schemas/{name}", "components": components})
            for kind, name in roots.items()
        }

    def faults(self, document):
        """What either version finds wrong with one document. Nothing: it is good."""
        return list(self._faults(json.dumps(document, sort_keys=True)))

    @functools.lru_cache(maxsize=None)
    def _faults(self, text):
        document = json.loads(text)
        kind = (document.get("apiVersion"), document.get("kind"))
        found = []
        for version, validators in self._validators.items():
            if kind not in validators:
                found.append(f"{version}: there is no kind {kind[1]} in {kind[0]}")
                continue
            for error in validators[kind].iter_errors(document):
                while error.context:  # of alternatives, the nearest miss
                    error = max(error.context, key=lambda inner: len(inner.absolute_path))
                found.append(f"{version}: {_path(error)}: {error.message}")
        return found
