"""The currencies of ISO 4217 by the number of their decimals. A test holds them against pycountry, which knows no decimals.

Gold, special drawing rights and test codes have none, not even 0, so they are not here.
"""

from __future__ import annotations

from mappings import sql

ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE = "BHD IQD JOD KWD LYD OMR TND"
FOUR = "CLF UYW"
TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
    "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
    "MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
    "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
    "USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
)
WITHDRAWN = "ANG BGN CUC HRK SLL ZWL"  # lately, so that older orders still name them; two decimals each

DECIMALS = {
    code: decimals
    for decimals, codes in ((0, ZERO), (2, f"{TWO} {WITHDRAWN}"), (3, THREE), (4, FOUR))
    for code in codes.split()
}


def units_sql(code: str) -> str:
    """SQL of how many minor units are one of a currency (1, 100, 1000, 10000); NULL where there is no such currency."""
    kinds = ((1, ZERO), (1000, THREE), (10000, FOUR), (100, f"{TWO} {WITHDRAWN}"))
    whens = " ".join(f"WHEN contains({sql.text(codes)}, {code}) THEN {units}" for units, codes in kinds)
    # A part of a code, or two of them, is in the lists as well.
    return f"CASE WHEN NOT regexp_full_match({code}, '[A-Z]{{3}}') THEN NULL {whens} END"
