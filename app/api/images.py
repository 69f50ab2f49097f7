"""Upload a picture, see what became of it, and get what was derived from it."""

import hashlib
import logging
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, File, Form, Response, UploadFile
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from app import storage, submit
from app.api.errors import ApiError, broker_away, not_found, problems
from app.db import transaction
from app.models import Image, ImageVariant, User
from app.progress import original_key, variant_key
from app.settings import settings

router = APIRouter(prefix="/images", tags=["images"])
log = logging.getLogger(__name__)
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}, "description": "A JPEG."}
}


class Accepted(BaseModel):
    image_id: UUID
    task_id: UUID
    image: str = Field(examples=["/images/9b2f6a0e-6c0a-4c3e-9d64-2f3b6f0c1d11"])
    task: str = Field(examples=["/tasks/1f0c2d5e-3f61-4a35-8c5b-6d1c5a2b7e90"])


class Original(BaseModel):
    width: int
    height: int
    format: str = Field(examples=["JPEG"])
    bytes: int
    sha256: str


class Variant(BaseModel):
    width: int
    height: int
    bytes: int
    url: str


class Thumbnail(Variant):
    size: int = Field(description="Its longest side at most, in pixels.")


class ImageAnswer(BaseModel):
    """What is derived is listed as soon as it exists, also while the state is still `processing`."""

    id: UUID
    user_id: UUID | None
    state: Literal["processing", "ready", "failed"]
    error: str | None
    original: Original
    compressed: Variant | None
    thumbnails: list[Thumbnail]
    metadata: dict[str, Any] | None
    created_at: datetime


@router.post("", status_code=202, summary="Upload a picture", responses=problems(404, 408, 415))
def upload(file: Annotated[UploadFile, File()], user_id: Annotated[UUID | None, Form()] = None) -> Accepted:
    image = _store(_read(file), user_id)
    task_id = uuid4()
    try:
        submit.process_image(image.id, task_id)
    except submit.BrokerAwayError as cause:
        _remove(image.id)
        raise broker_away(cause, "The picture was not kept.") from cause
    return Accepted(image_id=image.id, task_id=task_id, image=f"/images/{image.id}", task=f"/tasks/{task_id}")


@router.get("/{image_id}", summary="What became of a picture")
def read_image(image_id: UUID) -> ImageAnswer:
    with transaction() as session:
        image = session.get(Image, image_id)
        if image is None:
            raise _unknown(image_id)
        return _answer(image)


@router.get("/{image_id}/compressed", summary="The picture as a smaller JPEG", response_class=Response, responses=JPEG)
def read_compressed(image_id: UUID) -> Response:
    return _jpeg(image_id, "compressed")


@router.get("/{image_id}/thumbnails/{size}", summary="One thumbnail", response_class=Response, responses=JPEG)
def read_thumbnail(image_id: UUID, size: Literal["64", "256", "1024"]) -> Response:
    return _jpeg(image_id, f"thumbnail-{size}")


def _read(file: UploadFile) -> bytes:
    with file.file as spool:  # closed at once: in a container its bytes are memory too
        data, allowed = spool.read(), settings().max_upload_bytes
    if len(data) > allowed:
        raise ApiError(413, f"The file has {len(data)} bytes, more than the {allowed} allowed.", "Send a smaller one.")
    return data


def _store(data: bytes, user_id: UUID | None) -> Image:
    from app import pictures  # Pillow: needed at the first upload, not at the start

    try:
        header = pictures.identify(data)
    except pictures.PictureTooLargeError as error:
        raise ApiError(413, _sentence(error), "Scale it down first.") from None
    except pictures.UnsupportedPictureError as error:
        raise ApiError(415, _sentence(error), "Send a picture in one of these formats.") from None
    image = Image(user_id=user_id, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), **vars(header))
    with transaction() as session:
        session.connection().detach()  # closed afterwards: libpq never gives its buffer back, here a file's size
        if user_id is not None and session.get(User, user_id) is None:
            raise not_found("user", user_id, "Create one with POST /users, or leave user_id out.")
        session.add(image)
        session.flush()
        storage.put(session, original_key(image.id), data)
    return image


def _sentence(error: Exception) -> str:
    return f"{str(error)[:1].upper()}{str(error)[1:]}."


def _remove(image_id: UUID) -> None:
    try:
        with transaction() as session:
            storage.delete(session, original_key(image_id))
            if image := session.get(Image, image_id):
                session.delete(image)
    except SQLAlchemyError:  # the client's answer is the same; Beat's clean-up removes what is left
        log.warning("picture %s could not be removed", image_id, exc_info=True)


def _answer(image: Image) -> ImageAnswer:
    variants = {variant.kind: variant for variant in image.variants}
    compressed = variants.pop("compressed", None)
    return ImageAnswer(
        id=image.id,
        user_id=image.user_id,
        state=image.state,
        error=image.error,
        original=Original.model_validate(image, from_attributes=True),
        compressed=Variant(**_facts(image, compressed, "compressed")) if compressed else None,
        thumbnails=[
            Thumbnail(size=variant.size, **_facts(image, variant, f"thumbnails/{variant.size}"))
            for variant in variants.values()
        ],
        metadata=image.details,
        created_at=image.created_at,
    )


def _facts(image: Image, variant: ImageVariant, path: str) -> dict[str, Any]:
    url = f"/images/{image.id}/{path}"
    return {"width": variant.width, "height": variant.height, "bytes": variant.bytes, "url": url}


def _jpeg(image_id: UUID, kind: str) -> Response:
    with transaction() as session:
        if session.get(Image, image_id) is None:
            raise _unknown(image_id)
        try:
            data = storage.get(session, variant_key(image_id, kind))
        except storage.BlobMissingError:
            remedy = f"See the picture's state at /images/{image_id}; ask again while it is being processed."
            raise ApiError(404, f"Picture {image_id} has no {kind} yet.", remedy) from None
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400, immutable"})


def _unknown(image_id: UUID) -> ApiError:
    return not_found("picture", image_id, "Use the image_id of a POST /images.")
