"""`/billing/`: the plan that one has, what others would be, and changing it."""

from functools import partial

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from tenants import access
from tenants.errors import Refused
from tenants.models import BillingAccount, Cloud, User
from tenants.services import idempotency, limits
from tenants.services.plan_changes import change_own_plan, chosen_plan, plan_change
from tenants.services.quota import use_of
from tenants.views.forms import OnceForm
from tenants.views.person import person, tell


@never_cache
@login_required
@require_safe
def billing(request: HttpRequest) -> HttpResponse:
    try:
        cloud = access.cloud_with_notices(person(request))
    except Http404:
        return render(request, "tenants/no_cloud.html")
    allowance = cloud.allowance
    context = {
        "cloud": cloud,
        "notices": limits.notices(cloud),
        "allowance": allowance,
        "quota": allowance.quota,
        "used": use_of(cloud),
        "overrides": [override for override in cloud.overrides.all() if override.counts_now],
        "plans": list(access.plans_offered()),
        **_money(cloud),
    }
    return render(request, "tenants/billing.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """GET says what the plan would mean; POST changes to it."""
    user = person(request)
    cloud = access.cloud_of(user)
    try:
        plan = chosen_plan(slug)
    except Refused as refusal:
        raise Http404 from refusal
    form = OnceForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound and form.is_valid():
        asked = idempotency.fingerprint("console:plan", slug)
        try:
            answer = idempotency.once(user, form.key, asked, partial(_change, user, cloud, slug))
            return redirect("console:operation", answer.body["operation"])
        except Refused as refusal:
            status = 422
            tell(request, refusal)
    with transaction.atomic():
        context = {"change": plan_change(access.cloud_of(user), plan), "form": OnceForm(), **_money(cloud)}
    return render(request, "tenants/plan_change.html", context, status=status)


def _money(cloud: Cloud) -> dict[str, object]:
    """account: what is known of payments, None for who never went to pay."""
    is_on = bool(settings.STRIPE_KEY)
    return {"billing": is_on, "account": BillingAccount.customers().filter(cloud=cloud).first() if is_on else None}


def _change(user: User, cloud: Cloud, slug: str) -> idempotency.Answer:
    return idempotency.Answer(202, {"operation": change_own_plan(user, cloud, slug).pk})
