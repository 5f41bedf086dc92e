"""Writes tests/deploy/schemas/: JSON Schemas of the Kubernetes kinds that deploy/ uses, for kubeconform and the tests.

They are made from the OpenAPI document of the Kubernetes module and from custom resource definitions of others, which
the Go module proxy has. `python -m scripts.kube_schemas` after a version below changed, or a kind was added.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "deploy" / "schemas"

KUBERNETES = "k8s.io/kubernetes@v1.35.4"
KINDS = (
    ("", "v1", "ConfigMap"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Pod"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
    ("apps", "v1", "Deployment"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
)
CUSTOM = (
    (
        "github.com/prometheus-operator/prometheus-operator@v0.81.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "v1",
    ),
    (
        "github.com/external-secrets/external-secrets@v1.3.2",
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
        "v1",
    ),
    ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/cert-manager.io_certificates.yaml", "v1"),
)

_DIALECT = "http://json-schema.org/draft-07/schema#"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_KEPT = ("type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_QUANTITY = {"type": ["string", "number", "null"]}
_PORT = {"type": ["string", "integer", "null"]}

Schema = dict[str, Any]


def pages() -> Iterator[tuple[Path, str]]:
    """Every schema, by its path. Needs Go, and its proxy for what is not in its cache."""
    swagger = json.loads((_module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text(encoding="utf-8"))
    known = swagger["definitions"]
    for group, version, kind in KINDS:
        name = next(name for name, part in known.items() if _is(part, group, version, kind))
        yield _page(group, version, kind, _plain(known[name]), known)
    for module, path, version in CUSTOM:
        crd = yaml.safe_load((_module(module) / path).read_text(encoding="utf-8"))["spec"]
        shape = next(v["schema"]["openAPIV3Schema"] for v in crd["versions"] if v["name"] == version)
        shape["properties"]["metadata"] = {"$ref": f"#/definitions/{_META}"}
        yield _page(crd["group"], version, crd["names"]["kind"], _plain(shape), known)


def _page(group: str, version: str, kind: str, schema: Schema, known: Schema) -> tuple[Path, str]:
    schema["properties"]["apiVersion"] = {"enum": [f"{group}/{version}" if group else version]}
    schema["properties"]["kind"] = {"enum": [kind]}
    schema["required"] = sorted({"apiVersion", "kind", *schema.get("required", ())})
    parts: Schema = {}
    _gather(schema, known, parts)
    name = "-".join(part for part in (kind, group.split(".")[0], version) if part).lower()
    whole = {"$schema": _DIALECT, **schema, "definitions": dict(sorted(parts.items()))}
    return FOLDER / f"{name}.json", json.dumps(whole, separators=(",", ":"), sort_keys=True) + "\n"


def _gather(schema: Any, known: Schema, parts: Schema) -> None:
    """Adds what `schema` refers to, and what that refers to."""
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        name = schema["$ref"].rpartition("/")[2]
        if name not in parts:
            parts[name] = _plain(known[name])
            _gather(parts[name], known, parts)
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _gather(inner, known, parts)


def _plain(node: Schema) -> Schema:
    """What can be checked of a schema; members that nobody knows are refused, and optional ones may be null."""
    reference = str(node.get("$ref", ""))
    if reference:
        return _QUANTITY if reference.endswith("resource.Quantity") else {"$ref": f"#/definitions/{_last(reference)}"}
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string"):
        return _PORT
    made: Schema = {key: node[key] for key in _KEPT if key in node}
    if isinstance(node.get("properties"), dict):
        needed = node.get("required", ())
        made["properties"] = {
            name: _plain(part) if name in needed else _nullable(_plain(part))
            for name, part in node["properties"].items()
        }
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _plain(node["additionalProperties"])
    if isinstance(node.get("items"), dict):
        made["items"] = _plain(node["items"])
    return made


def _nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        schema = {**schema, "type": [schema["type"], "null"]}
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _is(part: Schema, group: str, version: str, kind: str) -> bool:
    return {"group": group, "version": version, "kind": kind} in part.get("x-kubernetes-group-version-kind", ())


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _module(name: str) -> Path:
    ran = subprocess.run(["go", "mod", "download", "-json", name], check=True, capture_output=True, text=True)
    return Path(json.loads(ran.stdout)["Dir"])


def main() -> int:
    """Writes the schemas."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
