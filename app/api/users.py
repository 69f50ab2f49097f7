"""People who post and upload."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError

from app.api.errors import ApiError, not_found
from app.api.fields import Email, Line, Request
from app.db import transaction
from app.models import User

router = APIRouter(prefix="/users", tags=["users"])


class NewUser(Request):
    email: Annotated[Email, Field(examples=["ada@example.org"])]
    name: Annotated[Line, Field(max_length=100, examples=["Ada Lovelace"])]


class UserAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    created_at: datetime


@router.post("", status_code=201)
def create_user(new: NewUser) -> UserAnswer:
    user = User(email=new.email, name=new.name)
    try:
        with transaction() as session:
            session.add(user)
    except IntegrityError:
        raise ApiError(409, f"There is a user with the e-mail {new.email!r} already.", "Use another address.") from None
    return UserAnswer.model_validate(user)


@router.get("/{user_id}")
def read_user(user_id: UUID) -> UserAnswer:
    with transaction() as session:
        user = session.get(User, user_id)
    if user is None:
        raise not_found("user", user_id, "Create one with POST /users.")
    return UserAnswer.model_validate(user)
