"""The application: `uvicorn app.main:app --app-dir backend`."""

import json
import logging
import warnings

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from app import db
from app.api import customers, documents, products
from app.core.webhooks import init_webhooks, webhooks
from hookline.fastapi import describe

logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
# How a table was made is of no interest beside what became of the webhooks.
logging.getLogger("alembic").setLevel(logging.WARNING)

# FastAPI would rather have a lifespan. The guide says on_event, and the guide is the contract.
warnings.filterwarnings("ignore", r"\s*on_event is deprecated", DeprecationWarning)

MAX_BODY = 64 * 1024  # bytes; an upload has its own limit

app = FastAPIOffline(
    title="Customers, documents, products",
    summary="Every change sends its webhook, in the same transaction.",
    description="Who is calling goes into the header `X-User-Id` and from there into the metadata.",
    version="1.0.0",
    redoc_url=None,
    max_body_size=MAX_BODY,
    # The page would show the address of this API to an outside validator.
    swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    openapi_tags=[
        {"name": "customers", "description": "Sends `customer.*`."},
        {"name": "documents", "description": "Sends `document.*`."},
        {"name": "products", "description": "Sends `product.*`."},
        {"name": "service", "description": "Is it alive?"},
    ],
)
for resource in (customers, documents, products):
    app.include_router(resource.router, prefix="/api")


describe(app, webhooks)


@app.on_event("startup")
async def create_tables() -> None:
    """Make the application's own tables."""
    await db.create_tables()


@app.on_event("startup")
async def startup_event() -> None:
    """Load webhooks.json and start delivering."""
    init_webhooks()


@app.on_event("shutdown")
async def shutdown_event() -> None:
    """Finish what is on its way; the rest waits in the database."""
    await webhooks.stop()
    await db.engine.dispose()


@app.exception_handler(RequestValidationError)
async def explain_invalid_input(_request: Request, error: RequestValidationError) -> Response:
    """Say where and why, without repeating the input: it may be large, or not even be text."""
    detail = [{key: entry[key] for key in ("type", "loc", "msg")} for entry in error.errors()]
    return Response(json.dumps({"detail": detail}), status_code=422, media_type="application/json")


@app.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    """Lead a person to the documentation."""
    return RedirectResponse("docs")


@app.get("/health", tags=["service"], summary="Is the backend ready?")
async def health() -> dict[str, str]:
    """Answers as soon as requests are served."""
    return {"status": "ok"}
