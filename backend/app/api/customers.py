"""Customers, from collecting their documents to the decision."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, status
from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.common import Caller, Paged, RowId, apply, find, guard, page, refusals
from app.api.documents import delete_documents_of, discard_unused
from app.core.webhooks import WebhookEvent, trigger_webhook
from app.db import reading, transaction
from app.models import CUSTOMER_MOVES, Customer, CustomerStatus, Product
from app.schemas import (
    CustomerCreate,
    CustomerData,
    CustomerOut,
    CustomerUpdate,
    Id,
    Page,
    StatusChange,
)

router = APIRouter(prefix="/customers", tags=["customers"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=CustomerOut,
    responses=refusals(409),
    summary="Create a customer",
)
async def create_customer(body: CustomerCreate, caller: Caller) -> Customer:
    """Send `customer.created`. Without a `customer_no` the next free one is given."""
    async with transaction() as session:
        await _require_product(session, body.product_id)
        customer = Customer(**body.model_dump())
        customer.customer_no = body.customer_no or await _next_customer_no(session)
        session.add(customer)
        await _flush(session, customer)  # gives the id
        await trigger_webhook(
            WebhookEvent.CUSTOMER_CREATED,
            CustomerData.data(customer),
            metadata=caller.metadata("create"),
            session=session,
        )
    return customer


@router.get("", response_model=Page[CustomerOut], summary="List customers")
async def list_customers(
    paging: Paged,
    customer_status: Annotated[CustomerStatus | None, Query(alias="status")] = None,
    product_id: Annotated[Id | None, Query()] = None,
) -> dict[str, object]:
    """List in the order they were created: all, or those with a status or a product."""
    conditions = []
    if customer_status is not None:
        conditions.append(Customer.status == customer_status)
    if product_id is not None:
        conditions.append(Customer.product_id == product_id)
    async with reading() as session:
        return await page(session, Customer, paging, *conditions)


@router.get(
    "/{customer_id}", response_model=CustomerOut, responses=refusals(404), summary="Show a customer"
)
async def get_customer(customer_id: RowId) -> Customer:
    """Return one customer."""
    async with reading() as session:
        return await find(session, Customer, customer_id)


@router.patch(
    "/{customer_id}",
    response_model=CustomerOut,
    responses=refusals(404, 409),
    summary="Change a customer",
)
async def update_customer(customer_id: RowId, body: CustomerUpdate, caller: Caller) -> Customer:
    """Send `customer.updated`, unless everything was as asked already."""
    async with transaction() as session:
        customer = await find(session, Customer, customer_id)
        await _require_product(session, body.product_id)
        if apply(customer, body.model_dump(exclude_unset=True)):
            await _flush(session, customer)
            await trigger_webhook(
                WebhookEvent.CUSTOMER_UPDATED,
                CustomerData.data(customer),
                metadata=caller.metadata("update"),
                session=session,
            )
    return customer


@router.put(
    "/{customer_id}/status",
    response_model=CustomerOut,
    responses=refusals(404, 409),
    summary="Move a customer to another status",
)
async def change_status(customer_id: RowId, body: StatusChange, caller: Caller) -> Customer:
    """Send `customer.status_changed`: `collecting` → `reviewing` → `completed` or `rejected`."""
    async with transaction() as session:
        customer = await find(session, Customer, customer_id)
        old = customer.status
        if old != body.status:
            guard(f"customer {customer_id}", CUSTOMER_MOVES, old, body.status)
            customer.status = body.status
            await trigger_webhook(
                WebhookEvent.CUSTOMER_STATUS_CHANGED,
                {
                    "id": str(customer.id),
                    "customer_no": customer.customer_no,
                    "old_status": old.value,
                    "new_status": customer.status.value,
                },
                metadata=caller.metadata("change_status"),
                session=session,
            )
    return customer


@router.delete(
    "/{customer_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=refusals(404),
    summary="Delete a customer",
)
async def delete_customer(customer_id: RowId, caller: Caller) -> None:
    """Delete its documents too: one `document.deleted` for each, then `customer.deleted`."""
    async with transaction() as session:
        customer = await find(session, Customer, customer_id)
        contents = await delete_documents_of(session, customer, caller)
        await session.delete(customer)
        await trigger_webhook(
            WebhookEvent.CUSTOMER_DELETED,
            CustomerData.data(customer),
            metadata=caller.metadata("delete"),
            session=session,
        )
    await discard_unused(contents)


async def _require_product(session: AsyncSession, product_id: int | None) -> None:
    if product_id is not None and await session.get(Product, product_id) is None:
        detail = f"product_id: product {product_id} does not exist"
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, detail)


async def _flush(session: AsyncSession, customer: Customer) -> None:
    """Write the customer; answer 409 when somebody else has the number."""
    number = customer.customer_no  # not to be asked for once the flush has failed
    try:
        await session.flush()
    except IntegrityError:
        detail = f"customer_no {number} is taken"
        raise HTTPException(status.HTTP_409_CONFLICT, detail) from None


async def _next_customer_no(session: AsyncSession) -> str:
    """C001, C002, …: the first one from the next id on that nobody was given by hand."""
    number = (await session.scalar(select(func.max(Customer.id))) or 0) + 1
    while await session.scalar(select(exists().where(Customer.customer_no == f"C{number:03d}"))):
        number += 1
    return f"C{number:03d}"
