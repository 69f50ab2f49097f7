"""What the page shows, read in one short transaction; templates get nothing that could ask for more."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api import posts
from app.db import transaction
from app.models import FAILED, PROCESSING, Image, Post, User
from app.progress import STEPS, done
from app.settings import settings
from app.web.started import Started

if TYPE_CHECKING:
    from jinja2 import Environment

NEWEST = 10  # posts
SHOWN = 600  # characters of each


@dataclass(frozen=True)
class Item:
    """Something that this browser started. `task` is set while its task is worth asking for."""

    id: UUID
    kind: str
    title: str
    state: str
    url: str
    task: UUID | None = None
    percent: int | None = None
    error: str | None = None
    thumbnail: str | None = None
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Written:
    author: str
    body: str
    at: datetime


@dataclass
class Form:
    """What was typed into a form, and by field what is wrong with it; `problem` is that of the whole."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def items(session: Session, started: list[Started]) -> list[Item]:
    """What became of each; what is gone from the database is left out."""
    shown = (_picture(session, each) if each.kind == "picture" else _post(session, each) for each in started)
    return [item for item in shown if item]


def newest_posts() -> list[Written]:
    """What GET /posts lists, with the names of the authors."""
    page = posts.list_posts(NEWEST).posts
    with transaction() as session:
        authors = select(User.id, User.name).where(User.id.in_([post.user_id for post in page]))
        names = dict(session.execute(authors).all())
    return [Written(names[post.user_id], _cut(post.body, SHOWN), post.created_at) for post in page]


def _picture(session: Session, started: Started) -> Item | None:
    image = session.get(Image, started.id)
    if image is None:
        return None
    thumbnail = next((variant for variant in image.variants if variant.kind == "thumbnail-256"), None)
    url = f"/images/{image.id}"
    return Item(
        id=image.id,
        kind="picture",
        title=f"{image.format} of {image.width} x {image.height} pixels",
        state=image.state,
        url=url,
        task=started.task if image.state == PROCESSING else None,
        percent=round(100 * done(image) / STEPS) if image.state == PROCESSING else None,
        error=image.error,
        thumbnail=f"{url}/thumbnails/256" if thumbnail and image.state != FAILED else None,
        width=thumbnail.width if thumbnail else 0,
        height=thumbnail.height if thumbnail else 0,
    )


def _post(session: Session, started: Started) -> Item | None:
    post = session.get(Post, started.id)
    if post is None:
        return None
    title = _cut(" ".join(post.body.split()), 60)
    return Item(id=post.id, kind="post", title=title, state="published", url=f"/posts/{post.id}")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def tools() -> list[tuple[str, str]]:
    """Name and address of what stands beside the app here; each is left out where its setting is."""
    known = settings()
    found = (
        ("Flower", known.flower_url),
        ("Grafana", known.grafana_url),
        ("Prometheus", known.prometheus_url),
        ("Mailbox", known.mail_url),
        ("API", "/docs"),
        ("Health", "/healthz?deep=1"),
    )
    return [(name, url) for name, url in found if url]


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # needed at the first page, not at the start

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """HTML; every value is escaped."""
    return _templates().get_template(template).render(tools=tools(), **values)
