"""The dashboard asks for metrics that the gateway has. Grafana itself is not run."""

import json
import re

from tests.deploy.objects import DEPLOY, ROOT

FILE = DEPLOY / "helm" / "regate" / "files" / "dashboard.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))


def test_every_metric_that_is_asked_for_is_measured() -> None:
    source = (ROOT / "sidecar" / "metrics.py").read_text(encoding="utf-8")
    known = set(re.findall(r'"(regate_[a-z_]+)"', source))
    asked = {
        re.sub("_(total|bucket|info)$", "", name)
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bregate_[a-z_]+", target["expr"])
    }
    assert len(asked) > 8
    assert asked <= known


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(places)) == len(places)


def test_kustomize_has_the_same_dashboard() -> None:
    copied = DEPLOY / "kustomize" / "components" / "dashboard" / "regate.json"
    assert copied.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")
