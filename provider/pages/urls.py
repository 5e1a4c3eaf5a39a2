"""All addresses of the console, in the namespace `console`."""

from django.urls import path

from provider.pages import catalog, docs, mails, operator
from tenants.views import live_urls, urls

app_name = "console"
urlpatterns = [
    *live_urls.console,
    *urls.urlpatterns,
    path("operator/", operator.overview, name="operator"),
    path("operator/catalog/", catalog.overview, name="operator_catalog"),
    path("operator/catalog/releases/<str:release_id>/", catalog.review, name="operator_review"),
    path("operator/catalog/reports/<str:report_id>/", catalog.report, name="operator_report"),
    path("operator/mails/", mails.mails, name="mails"),
    path("operator/mails/<str:name>/", mails.mail, name="mail"),
    path("docs/", docs.page, name="docs"),
    path("docs/<path:path>", docs.page, name="docs_page"),
]
