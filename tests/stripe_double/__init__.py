"""A local Stripe for tests: it keeps state, speaks Stripe's HTTP, refuses what Stripe refuses, and signs webhooks.

`params` reads forms and knows which parameters each call takes; `state` is what Stripe would know and do; `server` is the
HTTP in front of it. Written from Stripe's public reference, not from the SDK, which it is to catch in the act.
"""
