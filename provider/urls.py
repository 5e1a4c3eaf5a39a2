"""Every address of the console and the API."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from provider.billing import api as billing_api
from provider.billing.webhook import webhook
from provider.healthz import authority, healthz
from provider.http_errors import no_such_route
from tenants.views import live_urls

urlpatterns = [
    path("healthz", healthz),
    path("ca.pem", authority),
    path("operator/admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    # Before the API's own addresses: streams are answered by the live process.
    path("api/v1/", include(live_urls.api)),
    path("api/v1/billing/checkout/", billing_api.Checkout.as_view()),
    path("api/v1/billing/portal/", billing_api.Portal.as_view()),
    path("api/v1/billing/invoices/", billing_api.Invoices.as_view()),
    path("api/v1/", include("tenants.api.urls")),
    re_path(r"^api(?:/|$)", no_such_route),
    path("billing/stripe/webhook/", webhook),
    path("gate/", include("provider.gate.urls")),
    path("", include("provider.pages.urls")),
]

handler400 = "provider.http_errors.bad_request"
handler403 = "provider.http_errors.forbidden"
handler404 = "provider.http_errors.not_found"
handler500 = "provider.http_errors.server_error"
