"""The template that we ship is one the injector takes, and its pods may run where pod security is restricted."""

from pathlib import Path

from sidecar.injector import pods
from sidecar.injector.template import Template
from tests.sidecar.injector.objects import pod

TEMPLATE = Template.read(Path(__file__).resolve().parents[2] / "deploy" / "injector" / "sidecar.yaml")


def test_template_is_injected_and_leads_past_nothing() -> None:
    made = pods.injected(pod(), TEMPLATE)
    assert list(pods.ways_past(made, TEMPLATE)) == []


def test_container_is_restricted_and_mounts_its_own_volumes_only() -> None:
    security = TEMPLATE.container["securityContext"]
    assert security["runAsNonRoot"] is security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {mount["name"] for mount in TEMPLATE.container["volumeMounts"]} == {one["name"] for one in TEMPLATE.volumes}


def test_what_is_asked_for_is_within_what_is_allowed() -> None:
    assert TEMPLATE.container["resources"]["requests"].keys() <= TEMPLATE.container["resources"]["limits"].keys()
