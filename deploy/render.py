"""Turn queues.toml into each platform's workers: `python -m deploy.render`.

Rendered files are committed and read by people; `--check` fails when one of them is stale, or belongs to a queue that
is gone.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from celery_runtime.queues import NAME, load_queues
from celery_runtime.settings import ConfigError
from deploy.rendering import ROOT, leftovers, render

NEW_QUEUE = "[queues.{name}]\nconcurrency = 2\ntime_limit = 60\n"


def add_queue(path: Path, name: str) -> None:
    """Append a block for queue `name` to the file at `path`; raises ConfigError when the name is taken or not valid."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"NAME = {name!r} is not a valid name for a queue.\n"
            "  Use at most 40 lower-case letters, digits and hyphens, a letter first: make queue NAME=reports"
        )
    if name in load_queues(path):
        raise ConfigError(f"{path.name}: [queues.{name}] exists already.\n  Edit its block, then run make render.")
    path.write_text(f"{path.read_text().rstrip()}\n\n{NEW_QUEUE.format(name=name)}")


def main() -> int:
    """Render, or compare with `--check`, or add a queue first with `--add NAME`; 1 when stale, 2 when wrong."""
    parser = argparse.ArgumentParser(description="Turn queues.toml into each platform's workers.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a rendered file is stale")
    parser.add_argument("--add", metavar="NAME", help="add a queue with sensible values first")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    arguments = parser.parse_args()
    source = arguments.root / "queues.toml"
    try:
        if arguments.add is not None:
            add_queue(source, arguments.add)
            print(f"queues.toml: added [queues.{arguments.add}]. Route tasks to it in app/celery.py.")
        files = render(load_queues(source), arguments.root)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return _check(arguments.root, files) if arguments.check else _write(arguments.root, files)


def _write(root: Path, files: dict[Path, str]) -> int:
    for path, text in files.items():
        target = root / path
        changed = not target.exists() or target.read_text() != text
        if changed:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        print(f"{path}: {'written' if changed else 'up to date'}")
    for path in leftovers(root, files):
        (root / path).unlink()
        print(f"{path}: removed, its queue is gone")
    return 0


def _check(root: Path, files: dict[Path, str]) -> int:
    stale = [path for path, text in files.items() if _differs(root, path, text)]
    stale += leftovers(root, files)
    for path in stale:
        print(f"{path} is stale.\n  Run make render and commit the result.", file=sys.stderr)
    return 1 if stale else 0


def _differs(root: Path, path: Path, text: str) -> bool:
    current = (root / path).read_text() if (root / path).exists() else ""
    diff = difflib.unified_diff(current.splitlines(), text.splitlines(), str(path), "queues.toml", lineterm="")
    lines = list(diff)
    print("\n".join(lines), end="\n" if lines else "")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
