"""Every address of the console and the API."""

from django.contrib import admin
from django.urls import include, path

from provider.healthz import authority, healthz

urlpatterns = [
    path("healthz", healthz),
    path("ca.pem", authority),
    path("operator/admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
]
