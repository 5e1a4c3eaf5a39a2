"""`manage.py forget_test_payments`: before real money is taken, let go of what was paid for trying."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provider.billing.forgetting import forget_trying
from provider.billing.port import BillingError


class Command(BaseCommand):
    help = "Forget customers, subscriptions and prices of Stripe's test mode; nothing of live mode is touched."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            told = forget_trying()
        except BillingError as error:
            raise CommandError(f"Stripe: {error}. Run it again: what is forgotten stays so.") from error
        for sentence in told or ["Nothing of test mode is left."]:
            self.stdout.write(sentence)
