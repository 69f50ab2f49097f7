"""The dashboards: what is committed is what would be built, and each panel says what it shows and leads somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
import yaml

from celery_runtime.metrics.names import COUNTERS, GAUGES
from grafana.builder import DASHBOARDS, limits, palette, text
from grafana.preview.__main__ import LABEL
from grafana.queries import dashboards, filled, panels
from tests.manifests.kustomize import build
from tests.manifests.test_compose import compose_config
from tests.promql import metrics

ROOT = Path(__file__).parents[2]
COMMITTED = dashboards()
PANELS = [panel for name, dashboard in COMMITTED.items() for panel in panels(name, dashboard)]
RUNBOOKS = "${runbooks:raw}/"
COLOURS = {*palette.SERIES, "transparent"}
# Of tasks, publishing and processes; what celery_runtime/metrics/formats.py adds to names.py.
OURS = {"celery_build_info", "celery_state"}
OURS |= {f"celery_tasks_{name}_total" for name in ("received", "redelivered", "started", "ended")}
OURS |= {f"celery_{name}_seconds_{part}" for name in ("task_run", "task_wait", "publish") for part in ("bucket", "sum")}
OURS |= {f"celery_{name}" for name in GAUGES} | {f"celery_{name}_total" for name in COUNTERS}
RECORDED = set(re.findall(r"record: (\S+)", (ROOT / "deploy/prometheus/rules/recording.yaml").read_text()))
# Looked for on a real RabbitMQ by tests/stack; those of Kubernetes are in the documents of kube-state-metrics and KEDA.
RABBITMQ = {
    "rabbitmq_alarms_memory_used_watermark", "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_process_resident_memory_bytes", "rabbitmq_resident_memory_limit_bytes",
    "rabbitmq_disk_space_available_bytes", "rabbitmq_disk_space_available_limit_bytes", "rabbitmq_connections",
    "rabbitmq_connections_opened_total", "rabbitmq_connections_closed_total", "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
}  # fmt: skip
KUBERNETES = {
    "kube_horizontalpodautoscaler_status_desired_replicas", "kube_horizontalpodautoscaler_spec_max_replicas",
    "keda_scaler_metrics_value", "keda_scaled_object_errors_total",
}  # fmt: skip
KNOWN = OURS | RECORDED | RABBITMQ | KUBERNETES | {"up", "ALERTS"}


def links(node):
    """Every address in a dashboard's JSON."""
    if isinstance(node, dict):
        yield from [node["url"]] if node.get("url") else []
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from links(each)


def every(node, key):
    if isinstance(node, dict):
        yield from [node[key]] if key in node else []
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from every(each, key)


def variables(dashboard):
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def test_what_is_committed_is_what_would_be_built():
    assert set(COMMITTED) == set(DASHBOARDS)
    for name, module in DASHBOARDS.items():
        path = ROOT / f"grafana/dashboards/{name}.json"
        assert path.read_text() == text(name, module), f"{path} is stale: make render"


def test_a_threshold_is_the_number_of_its_alert(monkeypatch):
    assert limits.of_alert("RedisMemory").steps[1] == (0.85, palette.WARNING)
    moved = {"RedisMemory": {**limits.alerts()["RedisMemory"], "expr": "used / max > 0.5"}}
    monkeypatch.setattr(limits, "alerts", lambda: moved)
    assert limits.of_alert("RedisMemory").steps[1] == (0.5, palette.WARNING)
    moved["RedisMemory"]["expr"] = "used / max"
    with pytest.raises(LookupError, match="RedisMemory compares nothing"):
        limits.of_alert("RedisMemory")


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_to_do_when_it_is_wrong(panel):
    settings = panel.json["fieldConfig"]["defaults"]
    assert panel.title and settings["unit"], panel
    assert re.fullmatch(r"[A-Z0-9].{10,200}\.", panel.json["description"], re.DOTALL), panel.json["description"]
    assert panel.json["datasource"]["uid"] == "${datasource}" and panel.queries
    if panel.kind == "table":
        columns = [rule["properties"] for rule in panel.json["fieldConfig"]["overrides"]]
        wrong = [values for values in columns if any(value["id"] == "thresholds" for value in values)]
        assert all(any(value["id"] == "unit" for value in values) for values in columns[:-1])
    else:
        wrong = settings.get("thresholds", {}).get("steps", [])[1:]
    runbooks = [link["url"] for link in panel.json.get("links", []) if link["url"].startswith(RUNBOOKS)]
    assert bool(runbooks) == bool(wrong) or panel.title == "Alerts"


def test_a_panel_has_a_title_of_its_own_in_its_row():
    names = [str(panel) for panel in PANELS]
    assert len(set(names)) == len(names) > 80


@pytest.mark.parametrize("name", COMMITTED)
def test_every_link_leads_to_something_that_is_there(name):
    by_uid = {dashboard["uid"]: dashboard for dashboard in COMMITTED.values()}
    found = list(links(COMMITTED[name]))
    assert len(found) > 3
    for url in found:
        if url.startswith(RUNBOOKS):
            page = url.removeprefix(RUNBOOKS)
            assert page == "${__data.fields.runbook}.md" or (ROOT / "docs/runbooks" / page).is_file(), url
        else:
            parts = urlsplit(url)
            target = by_uid[parts.path.removeprefix("/d/")]
            chosen = {key.removeprefix("var-") for key in parse_qs(parts.query) if key.startswith("var-")}
            assert chosen <= variables(target).keys(), url
    assert COMMITTED[name]["tags"] == COMMITTED[name]["links"][0]["tags"]


def test_an_alert_in_the_overviews_table_leads_to_its_runbook():
    (table,) = [panel for panel in PANELS if str(panel) == "overview / What is wrong, and where / Alerts"]
    expr = table.queries[0][0]
    rules = re.findall(r'"runbook", "([^"]+)", "alertname", "([^"]+)"', expr)
    for name, alert in limits.alerts().items():
        page = ""
        for value, pattern in rules:  # as label_replace does: the innermost first
            page = name if value == "$1" else value if re.fullmatch(pattern, name) else page
        assert alert["annotations"]["runbook"] == f"docs/runbooks/{page}.md"
        assert name in expr


@pytest.mark.parametrize("name", COMMITTED)
def test_every_variable_offers_all_and_every_one_that_is_used_exists(name):
    dashboard = COMMITTED[name]
    known = variables(dashboard)
    for variable in known.values():
        if variable["type"] == "query":
            assert variable["includeAll"] and variable["multi"] and variable["allValue"] == ".*"
    used = set(re.findall(r"\$\{?([a-z]\w*)", " ".join(every(dashboard, "expr"))))
    assert used <= known.keys()


def test_every_metric_is_one_that_something_shows():
    used = {}
    for panel in PANELS:
        for expr, _ in panel.queries:
            used |= dict.fromkeys(metrics(filled(expr, {})), str(panel))
    assert len(used) > 60
    assert {name: where for name, where in used.items() if name not in KNOWN} == {}


def test_no_colour_is_one_that_the_colour_blind_take_for_another():
    for name, dashboard in COMMITTED.items():
        colours = {*every(dashboard["panels"], "fixedColor")}
        colours |= {colour for colour in every(dashboard["panels"], "color") if isinstance(colour, str)}
        assert colours <= COLOURS, name
        assert not {"palette-classic", "palette-classic-by-name"} & set(every(dashboard["panels"], "mode")), name
    for panel in PANELS:
        judged = {
            step["color"] for step in panel.json["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        }
        assert palette.GREEN not in judged, "beside vermilion, green says nothing to every twelfth man"


def test_the_document_shows_a_small_picture_of_each_that_says_what_it_is():
    pictures = {path.stem: path.read_text() for path in (ROOT / "docs/monitoring").glob("*.svg")}
    assert pictures.keys() == COMMITTED.keys()
    document = (ROOT / "docs/monitoring.md").read_text()
    for name, picture in pictures.items():
        assert len(picture) < 100_000 and LABEL in picture and f"monitoring/{name}.svg" in document
        missing = [panel.title for panel in PANELS if panel.dashboard == name and escape(panel.title) not in picture]
        assert not missing, f"{name}.svg is older than its dashboard: make dashboards-preview"


def test_kubernetes_has_each_as_a_config_map_for_the_sidecar():
    manifests = build(ROOT / "deploy/k8s/overlays/production")
    found = [config for config in manifests.of("ConfigMap") if "grafana_dashboard" in config["metadata"]["labels"]]
    assert {config["metadata"]["name"] for config in found} == {f"dashboard-{name}" for name in COMMITTED}
    for config in found:
        ((file, data),) = config["data"].items()
        assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(data) == COMMITTED[file.removesuffix(".json")]
        assert len(data) < 250_000, "kubectl apply keeps a copy in an annotation, of 262144 bytes at most"


def test_compose_hands_them_to_grafana_with_a_password_from_a_file(tmp_path):
    grafana = compose_config("registry", SECRETS_DIR=str(tmp_path))["services"]["grafana"]
    mounts = {volume["target"]: volume for volume in grafana["volumes"]}
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/celery.yaml").read_text())["providers"][0]
    mount = mounts[provider["options"]["path"]]
    assert Path(mount["source"]) == ROOT / "grafana/dashboards" and mount["read_only"]
    settings = grafana["environment"]
    assert settings["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    home = settings["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "grafana/dashboards" / Path(home).name).is_file() and str(Path(home).parent) == mount["target"]
    assert grafana["user"].split(":")[0] not in {"0", "root"}
