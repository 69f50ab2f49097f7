"""The runtime for every process of an app whose code must stay as it is: CELERY_LOADER=celery_runtime.loader:Loader.

`celery-runtime worker` and `beat` install it themselves. A web process, a management command and a shell are started by
others; this variable of Celery's installs it there too, as soon as the app reads its settings. On RabbitMQ they need
it: queues are declared by whoever is first, and all must declare the same.
"""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from celery.loaders.app import AppLoader


class Loader(AppLoader):  # type: ignore[misc]
    """Celery's own, of an app with the runtime on it."""

    @property
    def conf(self) -> Any:
        """Asked for while the settings are made; the signal that they are ready is not there when a loader is made."""
        self.app.on_after_configure.connect(_install, weak=False, dispatch_uid=__name__)
        return super().conf


def _install(sender: Celery, **_: Any) -> None:
    from celery_runtime import install
    from celery_runtime.settings import ConfigError

    try:
        install(sender)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)  # Celery's signals would log an error, and the process would go on without the runtime
