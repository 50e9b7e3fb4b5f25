"""Documents: uploaded for a customer, then approved or rejected."""

import asyncio
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, File, Form, HTTPException, Query, UploadFile, status
from fastapi.responses import FileResponse
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import files
from app.api.common import Caller, CallerInfo, Paged, RowId, find, guard, page, refusals
from app.core.webhooks import WebhookEvent, trigger_webhook
from app.db import lock_content, reading, transaction
from app.models import DOCUMENT_MOVES, Customer, Document, DocumentStatus
from app.schemas import Approval, DocumentData, DocumentOut, Id, Page, Rejection
from app.settings import settings

router = APIRouter(prefix="/documents", tags=["documents"])

# Above the file itself: the other fields, the boundaries and the headers of the parts.
MULTIPART_OVERHEAD = 64 * 1024


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=DocumentOut,
    responses=refusals(404, 413, 415),
    summary="Upload a document",
    max_body_size=settings.max_upload_bytes + MULTIPART_OVERHEAD,
)
async def upload_document(
    customer_id: Annotated[Id, Form(description="Whose document it is.", examples=[1])],
    file: Annotated[UploadFile, File(description="JPEG, PNG, WebP or PDF.")],
    caller: Caller,
) -> Document:
    """Send `document.uploaded`. Accepted: JPEG, PNG, WebP and PDF, judged by their content."""
    file_name = files.clean_name(file.filename)
    files.check_size(file.size or 0)
    staged = await asyncio.to_thread(files.stage, file.file, file.content_type)
    try:
        async with transaction() as session:
            await find(session, Customer, customer_id)
            document = Document(
                customer_id=customer_id,
                file_name=file_name,
                file_type=staged.file_type,
                size=staged.size,
                sha256=staged.sha256,
            )
            session.add(document)
            await session.flush()  # gives the id
            await _tell(session, WebhookEvent.DOCUMENT_UPLOADED, document, caller)
            await lock_content(session, staged.sha256)
            await asyncio.to_thread(staged.keep)
    finally:
        await asyncio.to_thread(staged.discard)
    return document


@router.get("", response_model=Page[DocumentOut], summary="List documents")
async def list_documents(
    paging: Paged,
    customer_id: Annotated[Id | None, Query()] = None,
    document_status: Annotated[DocumentStatus | None, Query(alias="status")] = None,
) -> dict[str, object]:
    """List in the order they were uploaded: all, or those of a customer or with a status."""
    conditions = []
    if customer_id is not None:
        conditions.append(Document.customer_id == customer_id)
    if document_status is not None:
        conditions.append(Document.status == document_status)
    async with reading() as session:
        return await page(session, Document, paging, *conditions)


@router.get(
    "/{document_id}", response_model=DocumentOut, responses=refusals(404), summary="Show a document"
)
async def get_document(document_id: RowId) -> Document:
    """One document, without its content."""
    async with reading() as session:
        return await find(session, Document, document_id)


@router.get(
    "/{document_id}/file",
    response_class=FileResponse,
    responses=refusals(404),
    summary="Download a document's file",
)
async def download_document(document_id: RowId) -> FileResponse:
    """Return the content as it was uploaded, under its own name."""
    async with reading() as session:
        document = await find(session, Document, document_id)
    path = files.path_of(document.sha256)
    if not await asyncio.to_thread(path.is_file):
        detail = f"document {document_id}: its file is missing on this server"
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail)
    return FileResponse(
        path,
        media_type=document.file_type,
        filename=document.file_name,
        # Somebody else's file: to be saved or shown as what it is, never guessed at and run.
        headers={"X-Content-Type-Options": "nosniff"},
    )


@router.post(
    "/{document_id}/approve",
    response_model=DocumentOut,
    responses=refusals(404, 409),
    summary="Approve a document",
)
async def approve_document(
    document_id: RowId, caller: Caller, body: Approval | None = None
) -> Document:
    """Send `document.approved`."""
    note = body.review_note if body else None
    return await _review(document_id, DocumentStatus.APPROVED, note, caller)


@router.post(
    "/{document_id}/reject",
    response_model=DocumentOut,
    responses=refusals(404, 409),
    summary="Reject a document",
)
async def reject_document(document_id: RowId, caller: Caller, body: Rejection) -> Document:
    """Send `document.rejected`. The customer is told why, so a `review_note` is needed."""
    return await _review(document_id, DocumentStatus.REJECTED, body.review_note, caller)


@router.delete(
    "/{document_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=refusals(404),
    summary="Delete a document",
)
async def delete_document(document_id: RowId, caller: Caller) -> None:
    """Send `document.deleted`. The file goes when no other document has the same content."""
    async with transaction() as session:
        document = await find(session, Document, document_id)
        await session.delete(document)
        await _tell(session, WebhookEvent.DOCUMENT_DELETED, document, caller)
    await discard_unused([document.sha256])


async def delete_documents_of(
    session: AsyncSession, customer: Customer, caller: CallerInfo
) -> set[str]:
    """Delete the customer's documents; return the contents to discard after the commit."""
    rows = select(Document).where(Document.customer_id == customer.id).order_by(Document.id)
    documents = (await session.scalars(rows)).all()
    for document in documents:
        await session.delete(document)
        await _tell(session, WebhookEvent.DOCUMENT_DELETED, document, caller)
    await session.flush()
    return {document.sha256 for document in documents}


async def discard_unused(contents: Iterable[str]) -> None:
    """Remove those contents from disk that no document has any more; only after the commit.

    In a writing transaction, although nothing is written: an upload of the same content is then
    either seen here, or begins when the file is gone and brings its own.
    """
    for sha256 in contents:
        async with transaction() as session:
            await lock_content(session, sha256)
            if not await session.scalar(select(exists().where(Document.sha256 == sha256))):
                await asyncio.to_thread(files.remove, sha256)


_REVIEWS = {
    DocumentStatus.APPROVED: WebhookEvent.DOCUMENT_APPROVED,
    DocumentStatus.REJECTED: WebhookEvent.DOCUMENT_REJECTED,
}


async def _review(
    document_id: int, decision: DocumentStatus, note: str | None, caller: CallerInfo
) -> Document:
    async with transaction() as session:
        document = await find(session, Document, document_id)
        if (document.status, document.review_note) != (decision, note):
            guard(f"document {document_id}", DOCUMENT_MOVES, document.status, decision)
            document.status, document.review_note = decision, note
            await _tell(session, _REVIEWS[decision], document, caller)
    return document


_ACTIONS = {
    WebhookEvent.DOCUMENT_UPLOADED: "upload",
    WebhookEvent.DOCUMENT_APPROVED: "approve",
    WebhookEvent.DOCUMENT_REJECTED: "reject",
    WebhookEvent.DOCUMENT_DELETED: "delete",
}


async def _tell(
    session: AsyncSession, event: WebhookEvent, document: Document, caller: CallerInfo
) -> None:
    await trigger_webhook(
        event,
        DocumentData.data(document),
        metadata=caller.metadata(_ACTIONS[event]),
        session=session,
    )
