"""Every address of the console and the API."""

from django.contrib import admin
from django.urls import include, path

from provider.healthz import authority, healthz
from tenants.views import live_urls

urlpatterns = [
    path("healthz", healthz),
    path("ca.pem", authority),
    path("operator/admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    # Before the API's own addresses: streams are answered by the live process.
    path("api/v1/", include(live_urls.api)),
    path("", include("provider.pages.urls")),
]
