"""All addresses of the console, in the namespace `console`."""

from django.urls import path

from provider.billing import pages as billing
from provider.pages import allowances, catalog, desk, docs, mails, operator, plans
from tenants.views import live_urls, urls

app_name = "console"
urlpatterns = [
    *live_urls.console,
    *urls.urlpatterns,
    path("operator/", operator.overview, name="operator"),
    path("operator/catalog/", catalog.overview, name="operator_catalog"),
    path("operator/catalog/releases/<str:release_id>/", catalog.review, name="operator_review"),
    path("operator/catalog/unlist/", catalog.unlist, name="operator_unlist"),
    path("operator/catalog/reports/<str:report_id>/", catalog.report, name="operator_report"),
    path("operator/plans/", plans.overview, name="operator_plans"),
    path("operator/plans/<slug:slug>/", plans.one, name="operator_plan"),
    path("operator/plan-new/", plans.new, name="operator_plan_new"),
    path("operator/plan-file/", plans.file, name="operator_plan_file"),
    path("operator/clouds/", allowances.clouds, name="operator_clouds"),
    path("operator/clouds/<str:cloud_id>/", allowances.cloud, name="operator_cloud"),
    path("operator/clouds/<str:cloud_id>/plan/", allowances.plan, name="operator_cloud_plan"),
    path("operator/clouds/<str:cloud_id>/overrides/<str:override_id>/end/", allowances.end, name="override_end"),
    path("operator/clouds/<str:cloud_id>/support/", desk.act, name="operator_support"),
    path("operator/operations/<str:operation_id>/retry/", desk.retry, name="operator_retry"),
    path("operator/team/", desk.team, name="operator_team"),
    path("operator/audit/", desk.audit, name="operator_audit"),
    path("operator/mails/", mails.mails, name="mails"),
    path("operator/mails/<str:name>/", mails.mail, name="mail"),
    path("billing/checkout/", billing.checkout, name="checkout"),
    path("billing/portal/", billing.portal, name="portal"),
    path("docs/", docs.page, name="docs"),
    path("docs/<path:path>", docs.page, name="docs_page"),
]
