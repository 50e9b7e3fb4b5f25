"""The shop's addresses."""

from django.contrib import admin
from django.urls import path

from shop.views import place

urlpatterns = [path("orders", place), path("admin/", admin.site.urls)]
