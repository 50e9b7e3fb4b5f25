"""The shop's tests: `python manage.py test`. Nothing runs beside Django, and nothing is sent."""

import json

from django.test import TestCase

from hookline.django.models import Message


class PlacingAnOrder(TestCase):
    def place(self, number: str) -> int:
        response = self.client.post("/orders", {"number": number}, content_type="application/json")
        return response.status_code

    def test_publishes_it(self) -> None:
        self.assertEqual(self.place("A-1"), 201)
        body = json.loads(Message.objects.get(event_type="order.placed").body)
        self.assertEqual(body["data"], {"number": "A-1"})

    def test_publishes_nothing_when_the_number_is_taken(self) -> None:
        self.assertEqual([self.place("A-1"), self.place("A-1")], [201, 409])
        self.assertEqual(Message.objects.count(), 1)
