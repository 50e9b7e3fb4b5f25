"""Products: what customers ask for."""

from fastapi import APIRouter, HTTPException, status
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.common import Caller, Paged, RowId, apply, find, page, refusals
from app.core.webhooks import WebhookEvent, trigger_webhook
from app.db import reading, transaction
from app.models import Customer, Product
from app.schemas import Page, ProductCreate, ProductData, ProductOut, ProductUpdate

router = APIRouter(prefix="/products", tags=["products"])


@router.post(
    "", status_code=status.HTTP_201_CREATED, response_model=ProductOut, summary="Create a product"
)
async def create_product(body: ProductCreate, caller: Caller) -> Product:
    """Send `product.created`."""
    async with transaction() as session:
        product = Product(**body.model_dump())
        session.add(product)
        await session.flush()  # gives the id
        await trigger_webhook(
            WebhookEvent.PRODUCT_CREATED,
            ProductData.data(product),
            metadata=caller.metadata("create"),
            session=session,
        )
    return product


@router.get("", response_model=Page[ProductOut], summary="List products")
async def list_products(paging: Paged) -> dict[str, object]:
    """List in the order they were created."""
    async with reading() as session:
        return await page(session, Product, paging)


@router.get(
    "/{product_id}", response_model=ProductOut, responses=refusals(404), summary="Show a product"
)
async def get_product(product_id: RowId) -> Product:
    """One product."""
    async with reading() as session:
        return await find(session, Product, product_id)


@router.patch(
    "/{product_id}", response_model=ProductOut, responses=refusals(404), summary="Change a product"
)
async def update_product(product_id: RowId, body: ProductUpdate, caller: Caller) -> Product:
    """Send `product.updated`, unless everything was as asked already."""
    async with transaction() as session:
        product = await find(session, Product, product_id)
        if apply(product, body.model_dump(exclude_unset=True)):
            await trigger_webhook(
                WebhookEvent.PRODUCT_UPDATED,
                ProductData.data(product),
                metadata=caller.metadata("update"),
                session=session,
            )
    return product


@router.delete(
    "/{product_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=refusals(404, 409),
    summary="Delete a product",
)
async def delete_product(product_id: RowId, caller: Caller) -> None:
    """Send `product.deleted`. A product that customers have stays: 409."""
    async with transaction() as session:
        product = await find(session, Product, product_id)
        await _refuse_if_used(session, product_id)
        await session.delete(product)
        await trigger_webhook(
            WebhookEvent.PRODUCT_DELETED,
            ProductData.data(product),
            metadata=caller.metadata("delete"),
            session=session,
        )


async def _refuse_if_used(session: AsyncSession, product_id: int) -> None:
    used = await session.scalar(
        select(func.count()).select_from(Customer).where(Customer.product_id == product_id)
    )
    if used:
        customers = "1 customer has" if used == 1 else f"{used} customers have"
        detail = f"product {product_id} can't be deleted: {customers} it"
        raise HTTPException(status.HTTP_409_CONFLICT, detail)
