"""A Service leads to the sidecar's port, or its way past is named."""

from copy import deepcopy

from sidecar.injector import services
from tests.sidecar.injector.objects import TEMPLATE, service


def test_led_has_the_sidecar_as_its_target_and_all_else_as_it_was() -> None:
    given = service()
    before = deepcopy(given)
    led = services.led(given)
    assert given == before
    assert led["spec"] == {**given["spec"], "ports": [{"name": "mcp", "port": 80, "targetPort": "regate"}]}
    assert services.led(led) == led
    assert list(services.ways_past(led, TEMPLATE)) == []


def test_led_by_annotation_leaves_the_other_ports() -> None:
    ports = [{"port": 80}, {"port": 81, "name": "mcp"}, {"port": 82, "targetPort": "metrics"}]
    given = service({"regate.dev/ports": "80, mcp"}, ports=ports)
    assert [one.get("targetPort") for one in services.led(given)["spec"]["ports"]] == ["regate", "regate", "metrics"]


def test_port_that_leads_elsewhere_is_named_also_where_no_target_is_written() -> None:
    given = service(ports=[{"port": 80}, {"port": 81, "targetPort": 8700}, {"port": 82, "targetPort": "http"}])
    assert list(services.ways_past(given, TEMPLATE)) == [
        "port 80 leads to 80, past the sidecar's port regate",
        "port 82 leads to http, past the sidecar's port regate",
    ]


def test_headless_service_leads_to_the_port_that_its_clients_name() -> None:
    """Its name gives the pods' own addresses: no port of it is led anywhere."""
    ports = [{"port": 8700, "targetPort": "regate"}, {"port": 8080, "targetPort": "regate"}]
    assert list(services.ways_past(service(clusterIP="None", ports=ports), TEMPLATE)) == [
        "port 8080 is of a headless Service, so clients call the pods' own port 8080, not the sidecar's 8700"
    ]


def test_service_that_selects_no_pods_leads_past_nothing() -> None:
    assert list(services.ways_past(service(selector=None), TEMPLATE)) == []
    assert list(services.ways_past(service(type="ExternalName"), TEMPLATE)) == []
    assert list(services.ways_past(service(ports=None), TEMPLATE)) == []
