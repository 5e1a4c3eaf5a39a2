"""localstripe, somebody else's Stripe for tests: what it covers is asked of it too, so that not our own double alone says
that we speak Stripe. It answers as Stripe did in 2017, so `versions` stands in front of it and does what Stripe does for
accounts of another version: plans are told as prices, and what it does not know to filter is filtered.

Not covered by it: Checkout and the Portal, idempotency keys, the pinned version, parameters it has never heard of (it
refuses some, and reads over others), trials, tax, renewals (its clock does not move), events by type, live mode.
"""
