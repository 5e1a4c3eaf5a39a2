"""Currencies (ISO 4217), and in which amounts of their smallest unit Stripe takes them: https://docs.stripe.com/currencies."""

_CODES = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf clp cny cop
crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr iqd irr
isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn
myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd
ssp stn svc syp szl thb tjs tmt tnd top try ttd twd tzs uah ugx usd uyu uzs ves vnd vuv wst xaf xcd xcg xof xpf yer zar zmw
zwg
"""
KNOWN = frozenset(_CODES.split())
_WHOLE = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
_THOUSANDTHS = frozenset("bhd iqd jod kwd lyd omr tnd".split())
# Stripe counts them in hundredths that nobody can pay.
_ONLY_WHOLE = frozenset(("isk", "ugx"))


def digits(currency: str) -> int:
    """Decimal places of an amount that is kept in the smallest unit."""
    return 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2


def step(currency: str) -> int:
    """Amounts are multiples of this: cards are not charged thousandths, nor hundredths of what has none."""
    return 10 if currency in _THOUSANDTHS else 100 if currency in _ONLY_WHOLE else 1
