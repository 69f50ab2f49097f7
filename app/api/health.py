"""Whether this process serves. It asks neither broker nor database: restarting the API would cure neither."""

from fastapi import APIRouter

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
