"""Walks through a running stack and says, step by step, whether its promises came true.

    python -m app.smoke [--rows all|1,2,12] [--api URL] [--mail URL] [--photo PATH] [--timeout SECONDS]

Without --rows it sends one picture and a few tasks, which takes a second or two. With it, each row of docs/patterns.md
that has an API is tried, one line for each.

Exit code 0: all steps passed. 1: one did not; the last line says what is wrong. 2: bad arguments.
"""

import argparse
import sys
import time
from pathlib import Path

from app.smoke import quick
from app.smoke.client import SmokeError, Stack
from app.smoke.pictures import size_of
from app.smoke.rows import ROWS, walk

PHOTO = Path(__file__).parents[1] / "samples" / "photo.jpg"


def _rows(text: str) -> list[str]:
    known = [step.row for step in ROWS]
    rows = known if text == "all" else [row.strip() for row in text.split(",")]
    if unknown := [row for row in rows if row not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no row with an API; those are {', '.join(known)}")
    return rows


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("app.smoke", description="Tries what a running stack promises.")
    parser.add_argument("--api", default="http://127.0.0.1:8000", help="the API's address (%(default)s)")
    parser.add_argument("--mail", default="http://127.0.0.1:8025", help="the mail page's address (%(default)s)")
    parser.add_argument("--rows", type=_rows, help="rows of docs/patterns.md to walk through: all, or like 1,2,12")
    parser.add_argument("--photo", type=Path, default=PHOTO, help="the picture to send (a sample)")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for everything (%(default)g)")
    return parser.parse_args(argv)


def _say(line: str) -> None:
    print(line, flush=True)


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    began = time.monotonic()
    try:
        photo = arguments.photo.read_bytes()
        size_of(str(arguments.photo), photo)
        with Stack(arguments.api, arguments.mail, arguments.timeout) as stack:
            if arguments.rows:
                walk(stack, photo, arguments.rows, _say)
            else:
                quick.run(stack, photo, _say)
    except (SmokeError, OSError) as error:
        print(f"FAILED    {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"passed    in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
