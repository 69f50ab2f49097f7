"""Pictures of the dashboards where Grafana cannot run: the same panels, places and queries, drawn as SVG.

Needs the standard library only, and a Prometheus that scrapes the stack.
"""
