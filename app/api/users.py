"""People who post and upload."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import events
from app.api.errors import ApiError, not_found, problems
from app.api.fields import Email, Line, Request
from app.db import transaction
from app.models import User

GONE = "There is no such user."
router = APIRouter(prefix="/users", tags=["users"])


class NewUser(Request):
    email: Annotated[Email, Field(examples=["ada@example.org"])]
    name: Annotated[Line, Field(max_length=100, examples=["Ada Lovelace"])]


class NewName(Request):
    name: Annotated[Line, Field(max_length=100, examples=["Ada King"])]


class UserAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    created_at: datetime


@router.post(
    "", status_code=201, summary="Register a user", responses=problems(_409="There is a user with this e-mail already.")
)
def create_user(new: NewUser) -> UserAnswer:
    user = User(email=new.email, name=new.name)
    try:
        with transaction() as session:
            session.add(user)
            session.flush()
            events.publish(session, events.UserRegistered(str(user.id)))
    except IntegrityError:
        raise ApiError(409, f"There is a user with the e-mail {new.email!r} already.", "Use another address.") from None
    return UserAnswer.model_validate(user)


@router.get("/{user_id}", summary="Read a user", responses=problems(_404=GONE))
def read_user(user_id: UUID) -> UserAnswer:
    with transaction() as session:
        return UserAnswer.model_validate(find(session, user_id))


@router.patch("/{user_id}", summary="Change a user's name", responses=problems(_404=GONE))
def rename_user(user_id: UUID, new: NewName) -> UserAnswer:
    with transaction() as session:
        user = find(session, user_id)
        if user.name != new.name:
            user.name = new.name
            events.publish(session, events.UserRenamed(str(user_id)))
        return UserAnswer.model_validate(user)


def find(session: Session, user_id: UUID) -> User:
    """Raises ApiError."""
    user = session.get(User, user_id)
    if user is None:
        raise not_found("user", user_id, "Create one with POST /users.")
    return user
