"""The settings that an app makes itself: they win.

Three kinds do not, and a worker and Beat name each of them in a warning when they start: what breaks a guarantee
(`promises.BREAKING`; KEEP_SETTINGS keeps the app's), where the broker and the results in Redis are, and which queues
there are. The last two are said in one place for every process: in the environment and in queues.toml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.app.defaults import DEFAULTS
from celery.app.utils import Settings, detect_settings
from celery.signals import beat_init, celeryd_after_setup
from celery.utils.log import get_logger
from kombu.utils.url import maybe_sanitize_url

from celery_runtime.promises import BREAKING

OPTIONS = "broker_transport_options"
RESULTS, RESULT_OPTIONS = "result_backend", "result_backend_transport_options"
REDIS = ("redis:", "rediss:", "redis+", "sentinel:")
_WARN = f"{__name__}.warn"
_BROKER = "To keep the app's, name its broker in BROKER and REDIS_URL or RABBITMQ_URL."
_QUEUES = "To keep the app's, name its queues in queues.toml."
_ALWAYS_OURS = {
    "broker_url": _BROKER,
    "broker_read_url": _BROKER,
    "broker_write_url": _BROKER,
    "task_queues": _QUEUES,
    "task_default_queue": _QUEUES,
}
_OPTIONS_OURS = {
    "visibility_timeout": "workers renew what they hold. To keep the app's, set VISIBILITY_TIMEOUT.",
    "confirm_publish": "without confirms a full or dying RabbitMQ drops messages in silence.",
    "master_name": _BROKER,
    "sentinel_kwargs": _BROKER,
}

log = get_logger(__name__)


@dataclass(frozen=True)
class Override:
    """One of the app's settings that the runtime replaced."""

    setting: str
    theirs: Any
    ours: Any
    why: str

    def __str__(self) -> str:
        return f"The app's {self.setting} = {_shown(self.theirs)} is not used, but {_shown(self.ours)}: {self.why}"


def own_settings(app: Celery) -> dict[str, Any]:
    """What `app` sets of what there is to set, by Celery's lower-case names, whatever prefix it writes them with.

    Read in Celery 5.7.0: app/base.py, `_load_config`. A configuration that is still to come is looked at and not
    finished, so that the app may go on with it, and `on_after_configure` finds its receivers.
    """
    if app.configured:
        app.conf.finalize()
        conf = app.conf
    else:
        if app._config_source:  # noqa: SLF001
            app.loader.config_from_object(app._config_source, silent=app._config_source_silent)  # noqa: SLF001
        conf = detect_settings(
            app.prepare_config(app.loader.conf),
            app._preconf,  # noqa: SLF001
            ignore_keys=app._preconf_set_by_auto,  # noqa: SLF001
            prefix=app.namespace,
        )
    own = Settings({}, conf.maps[:-1], conf._keys, conf.prefix)  # noqa: SLF001 -- as `value_set_for`
    return {name: own[name] for name in DEFAULTS if name in own}


def settle(
    own: Mapping[str, Any], ours: Mapping[str, Any], keep: Collection[str]
) -> tuple[dict[str, Any], list[Override]]:
    """Return what is to be set, and which of the app's settings that replaces.

    own, ours: the settings of the app and of the runtime.
    keep: settings of BREAKING that stay the app's.
    """
    settled, overrides = dict(ours), []
    for name in own.keys() & ours.keys():
        if name == OPTIONS:
            settled[name], replaced = _merged(own[name] or {}, ours[name])
            overrides += replaced
        elif why := _reason(name, own[name], ours[name], keep):
            overrides.append(Override(name, own[name], ours[name], why))
        elif name not in _ALWAYS_OURS:
            settled[name] = own[name]
    is_theirs, options = settled[RESULTS] == own.get(RESULTS), own.get(RESULT_OPTIONS) or {}
    settled[RESULT_OPTIONS] = options if is_theirs else {**options, **ours[RESULT_OPTIONS]}
    return settled, sorted(overrides, key=lambda override: override.setting)


def announce(overrides: list[Override]) -> None:
    """Warn of each when a worker or Beat has started to log."""

    def warn(**_: Any) -> None:
        for override in overrides:
            log.warning("%s", override)

    for signal in (celeryd_after_setup, beat_init):
        signal.disconnect(dispatch_uid=_WARN)  # of an app that this process had before
        signal.connect(warn, weak=False, dispatch_uid=_WARN)


def _reason(name: str, theirs: Any, ours: Any, keep: Collection[str]) -> str:
    """Why the app's value gives way; "" when it does not, or when there is nothing to tell."""
    if name in _ALWAYS_OURS:
        told = _ALWAYS_OURS[name]
        return "" if theirs is None or _names(theirs) == _names(ours) else told
    if name == RESULTS and name not in keep and str(theirs).startswith(REDIS) and theirs != ours:
        return f"Redis is where REDIS_URL says. To keep the app's: KEEP_SETTINGS={name}"
    if name in BREAKING and name not in keep and BREAKING[name][0](theirs):
        return f"{BREAKING[name][1]}. To keep the app's: KEEP_SETTINGS={name}"
    return ""


def _merged(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[dict[str, Any], list[Override]]:
    """The options of the transport: the app's own, but for those that the runtime's own parts stand on."""
    replaced = [
        Override(f"{OPTIONS}[{name!r}]", theirs[name], ours[name], why)
        for name, why in _OPTIONS_OURS.items()
        if name in theirs and name in ours and theirs[name] != ours[name]
    ]
    return {**ours, **theirs, **{name: ours[name] for name in _OPTIONS_OURS if name in ours}}, replaced


def _names(value: Any) -> Any:
    """Queues by their names: two that were made apart are never equal."""
    if isinstance(value, Mapping):
        return sorted(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted(str(getattr(each, "name", each)) for each in value)
    return value


def _shown(value: Any) -> str:
    shown = _names(value)
    return repr(maybe_sanitize_url(shown)) if isinstance(shown, str) else repr(shown)
