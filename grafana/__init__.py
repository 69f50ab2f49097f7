"""Grafana's dashboards: `builder` makes the JSON of `dashboards`, `preview` draws pictures of it without Grafana."""
