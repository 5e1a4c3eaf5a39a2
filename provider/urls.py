"""Every address of the console and the API."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("operator/admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("gate/", include("provider.gate.urls")),
]
