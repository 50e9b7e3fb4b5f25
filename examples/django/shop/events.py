"""What the shop tells others."""

from enum import StrEnum


class ShopEvent(StrEnum):
    ORDER_PLACED = "order.placed"
