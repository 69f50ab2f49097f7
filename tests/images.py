"""The names of the images that `make up` uses on this machine, all present and the application's up to date."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def image_names() -> dict[str, str]:
    """Build what changed; returns the name of each image by Compose service, RabbitMQ's included."""
    source = subprocess.run([ROOT / "tests/images.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    script = f"BROKER=rabbitmq && . deploy/compose/stack.sh && compose {source} config --format json"
    config = subprocess.run(["bash", "-euc", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: service["image"] for name, service in json.loads(config)["services"].items()}
