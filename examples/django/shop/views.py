"""What the shop answers."""

import json

from django.db import IntegrityError, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from hookline.django import trigger
from shop.events import ShopEvent
from shop.models import Order


@csrf_exempt
@require_POST
def place(request: HttpRequest) -> JsonResponse:
    order = json.loads(request.body)
    try:
        with transaction.atomic():
            trigger(ShopEvent.ORDER_PLACED, order)
            Order.objects.create(number=order["number"])
    except IntegrityError:  # the event is gone with the order
        return JsonResponse({"detail": "this number is taken"}, status=409)
    return JsonResponse(order, status=201)
