"""The alert rules: of metrics that there are, each with a section in the runbook that says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from coordhub import telemetry

DOCS = Path(__file__).parents[2] / "docs"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
RUNBOOK = (DOCS / "runbook.md").read_text()


def _samples() -> dict[str, set[str]]:
    """Names of samples with their labels, of each metric that is registered."""
    known: dict[str, set[str]] = {}
    for metric in telemetry.REGISTRY.collect():
        collector: Any = telemetry.REGISTRY._names_to_collectors[metric.name]
        labels = set(collector._labelnames)
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for ending in endings.get(metric.type, ("",)):
            known[metric.name + ending] = labels | ({"le"} if ending == "_bucket" else set())
    return known


def test_given_the_rules_when_read_then_they_ask_for_metrics_and_labels_that_there_are() -> None:
    known = _samples()
    for rule in RULES:
        named = set(re.findall(r"coordhub_\w+", rule["expr"]))
        assert named, rule["alert"]
        assert named <= set(known), rule["alert"]
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)\"", rule["expr"]))
        for listed in re.findall(r"by \(([^)]*)\)", rule["expr"]):
            labels |= {one.strip() for one in listed.split(",")}
        assert labels <= set().union(*(known[name] for name in named)), rule["alert"]


def test_given_an_alert_when_it_fires_then_the_runbook_says_what_it_means_and_when_it_is_over() -> (
    None
):
    pattern = r"^## (\w+)\n(.*?)(?=^## |\Z)"
    sections = dict(re.findall(pattern, RUNBOOK, re.DOTALL | re.MULTILINE))
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        said = sections[rule["alert"]]
        for part in ("**Means**", "**Look**", "**Do**", "**Over**"):
            assert part in said, (rule["alert"], part)


def test_given_the_metrics_when_parsed_as_prometheus_does_then_each_is_there_and_described() -> (
    None
):
    telemetry.SECONDS.labels("read").observe(0.01)
    text = telemetry.metrics().decode()
    parsed = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in telemetry.REGISTRY.collect():
        assert parsed[metric.name].type == metric.type
        assert parsed[metric.name].documentation
