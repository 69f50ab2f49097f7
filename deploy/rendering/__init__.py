"""What each platform's files are made of. A platform is a few rows here: a template, and where its output goes."""

from __future__ import annotations

from pathlib import Path

import jinja2

from celery_runtime.queues import Queue, load_queues
from deploy.rendering.alerts import prometheus_rule

ROOT = Path(__file__).resolve().parents[2]
HEADER = "# Rendered from queues.toml"
# One file with all queues.
RENDERED = {
    "compose-workers.yaml.j2": "deploy/compose/workers.yaml",
    "prometheus-workers.yaml.j2": "deploy/prometheus/scrape/workers.yaml",
    "systemd-supervisor.conf.j2": "deploy/systemd/supervisor/workers.conf",
}
# A folder with one file for each queue and a kustomization that lists them.
K8S = "deploy/k8s"
FOLDERS = {
    "k8s-worker.yaml.j2": f"{K8S}/queues",
    "k8s-keda-redis.yaml.j2": f"{K8S}/components/keda/redis/queues",
    "k8s-keda-rabbitmq.yaml.j2": f"{K8S}/components/keda/rabbitmq/queues",
    "k8s-hpa-cpu.yaml.j2": f"{K8S}/components/hpa-cpu/queues",
}
# Drop-ins of celery-worker@QUEUE.service, one for each queue.
DROP_INS = {"systemd-queue.conf.j2": "deploy/systemd/queues"}
# What an app of examples/ has of these, below its folder.
EXAMPLE_RENDERED = {
    "compose-workers.yaml.j2": "deploy/workers.yaml",
    "prometheus-workers.yaml.j2": "deploy/scrape/workers.yaml",
}
EXAMPLE_FOLDERS = {"k8s-worker.yaml.j2": "k8s/queues"}
# Files of the Compose stack that a kustomization may read only from its own folder.
COPIES = {
    "deploy/compose/config/redis.conf": f"{K8S}/components/redis/redis.conf",
    "deploy/compose/config/rabbitmq.conf": f"{K8S}/components/rabbitmq/rabbitmq.conf",
    "deploy/compose/config/rabbitmq-plugins": f"{K8S}/components/rabbitmq/enabled_plugins",
}
ALERTS = Path(f"{K8S}/components/monitoring/alerts.yaml")


def render(queues: dict[str, Queue], root: Path = ROOT) -> dict[Path, str]:
    """Return the text of every rendered file by its path relative to `root`, the repository.

    Raises ConfigError for a queues.toml of an example that is not valid.
    """
    files = _filled(queues, RENDERED, FOLDERS, DROP_INS)
    for example in _examples(root):
        own = _filled(load_queues(root / example / "queues.toml"), EXAMPLE_RENDERED, EXAMPLE_FOLDERS, {})
        files |= {example / path: text for path, text in own.items()}
    files |= {Path(copy): (root / original).read_text() for original, copy in COPIES.items()}
    files[ALERTS] = prometheus_rule(root / "deploy/prometheus/rules")
    return files


def leftovers(root: Path, files: dict[Path, str]) -> list[Path]:
    """Rendered files of queues that queues.toml no longer has, relative to `root`."""
    folders = [root / folder for folder in (*FOLDERS.values(), *DROP_INS.values())]
    folders += [root / example / folder for example in _examples(root) for folder in EXAMPLE_FOLDERS.values()]
    found = [path for folder in folders for path in sorted(folder.glob("*.*"))]
    rendered = [path for path in found if path.read_text().startswith(HEADER)]
    return [path.relative_to(root) for path in rendered if path.relative_to(root) not in files]


def _examples(root: Path) -> list[Path]:
    """Those that have a stack of their own; the others are for plain workers."""
    return sorted(path.parents[1].relative_to(root) for path in root.glob("examples/*/deploy/stack.env"))


def _filled(
    queues: dict[str, Queue], rendered: dict[str, str], folders: dict[str, str], drop_ins: dict[str, str]
) -> dict[Path, str]:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  YAML and unit files, whose every value load_queues has checked
    )

    def fill(template: str, **values: object) -> str:
        return templates.get_template(template).render(**values)

    every = list(queues.values())
    files = {Path(path): fill(template, queues=every) for template, path in rendered.items()}
    for template, folder in folders.items():
        files[Path(folder, "kustomization.yaml")] = fill("k8s-kustomization.yaml.j2", queues=every)
        files |= {Path(folder, f"{queue.name}.yaml"): fill(template, queue=queue) for queue in every}
    for template, folder in drop_ins.items():
        for number, queue in enumerate(every):
            files[Path(folder, f"{queue.name}.conf")] = fill(template, queue=queue, number=number)
    return files
