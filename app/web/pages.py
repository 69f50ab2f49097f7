"""The page and its two forms: what they do is what POST /images, /users and /posts do, told to people.

A form answers with 303 to the page, so that reloading sends nothing twice; what was wrong comes back in the form with
what was typed. Whether it was sent from here is checked for all paths, in `app/api/browsers.py`.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from app.api import images, posts, users
from app.api.errors import ApiError, database_away, in_words
from app.db import transaction
from app.models import User
from app.settings import settings
from app.web import started, views
from app.web.started import Started
from app.web.views import Form

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=Path(__file__).parent / "static")


@router.get("/", response_class=HTMLResponse)
def page(request: Request) -> Response:
    return _page(request)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> Response:
    """The OpenAPI document for people; pages that others make of it load their scripts from somewhere else."""
    return HTMLResponse(views.render("docs.html", api=request.app.openapi()))


@router.post("/upload")
async def upload(request: Request) -> Response:
    form = Form()
    try:
        async with request.form(max_files=1, max_fields=1) as sent:
            file = sent.get("file")
            if isinstance(file, UploadFile) and file.filename:
                accepted = await run_in_threadpool(images.upload, file)
                return _begun(request, Started("picture", accepted.image_id, accepted.task_id))
        form.errors["file"] = "Choose a picture first."
        status = 422
    except ApiError as error:
        form.errors["file"], status = _words(error), error.status
    except HTTPException as error:  # the body itself: too large, too slow, no form
        form.errors["file"], status = str(error.detail), error.status_code
    except SQLAlchemyError as error:
        form.problem, status = database_away(error)["error"], 503
    return await run_in_threadpool(_page, request, status, upload=form)


@router.post("/write")
async def write(request: Request) -> Response:
    form, status = Form(), 422
    try:
        async with request.form(max_files=0, max_fields=3) as sent:
            form.values = {name: str(value) for name, value in sent.items()}
        return _begun(request, Started("post", await run_in_threadpool(_write, form.values)))
    except ValidationError as error:
        form.errors = {str(fault["loc"][0]): in_words(fault) for fault in error.errors()}
    except ApiError as error:
        form.problem, status = _words(error), error.status
    except HTTPException as error:
        form.problem, status = str(error.detail), error.status_code
    except SQLAlchemyError as error:
        form.problem, status = database_away(error)["error"], 503
    return await run_in_threadpool(_page, request, status, write=form)


def _write(values: dict[str, str]) -> UUID:
    """Raises ValidationError, ApiError, SQLAlchemyError."""
    author = users.NewUser(email=values.get("email", ""), name=values.get("name", ""))
    body = values.get("body", "").replace("\r\n", "\n")  # forms send what HTML asks for, not what was typed
    posts.NewPost(user_id=UUID(int=0), body=body)  # nobody is created for a post that cannot be stored
    return posts.create_post(posts.NewPost(user_id=_user(author), body=body)).id


def _user(author: users.NewUser) -> UUID:
    """Who has the address, or somebody new; a name that is known already stays as it is."""
    with transaction() as session:
        known = session.scalar(select(User.id).where(User.email == author.email))
    return known or users.create_user(author).id


def _begun(request: Request, entry: Started) -> Response:
    before = started.read(request.cookies.get(started.COOKIE, ""))
    answer = RedirectResponse("/#activity", 303)
    cookie = started.written([entry, *before])
    answer.set_cookie(started.COOKIE, cookie, max_age=started.DAY, httponly=True, samesite="lax")
    return answer


def _page(request: Request, status: int = 200, **forms: Form) -> Response:
    values: dict[str, Any] = {"items": [], "posts": [], "problem": ""}
    try:
        with transaction() as session:
            values["items"] = views.items(session, started.read(request.cookies.get(started.COOKIE, "")))
        values["posts"] = views.newest_posts()
    except SQLAlchemyError as error:
        values["problem"], status = database_away(error)["error"], 503
    forms = {"upload": Form(), "write": Form()} | forms
    html = views.render("page.html", **values, **forms, max_bytes=settings().max_upload_bytes)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def _words(error: ApiError) -> str:
    return f"{error.body['error']} {error.body['remedy']}"
