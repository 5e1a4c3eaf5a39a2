"""`POST /billing/stripe/webhook/`: what Stripe tells by itself."""

import logging

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from provider.billing import hearing
from provider.billing.port import Declined, gateway, is_on
from tenants.models import PaymentOutcome

log = logging.getLogger(__name__)
SIZE_LIMIT = 1024 * 1024


@csrf_exempt  # Stripe has no session; its signature is what counts
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """200 once it is written down, or was before. 400 for what Stripe did not sign, signed too long ago, or in the
    other mode; nothing is changed then. Anything else makes Stripe send it again, for about three days."""
    if not is_on():
        raise Http404
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > SIZE_LIMIT:
        return JsonResponse({"error": "too large"}, status=413)
    try:
        event = gateway().verified(request.body, request.headers.get("Stripe-Signature", ""))
        is_new = hearing.hear(event)
    except Declined as error:
        hearing.count(PaymentOutcome.REFUSED)
        return _refused(error)
    except hearing.WrongMode as error:
        return _refused(error)
    return JsonResponse({"received": True, "new": is_new})


def _refused(error: Exception) -> JsonResponse:
    log.warning("billing_event_refused why=%s", error)
    return JsonResponse({"error": "not accepted"}, status=400)
