"""Functions over ids and codes."""

from __future__ import annotations

from mappings import formats, render
from mappings.function import Function, Parameter, X

TABLE = (
    # -- ids
    Function(
        "alpha_in",
        "SAP's ALPHA on the way in: a number without its leading zeros; other ids stay.",
        (X,),
        "text",
        "CASE WHEN regexp_full_match({0}, '[0-9]+') THEN coalesce(nullif(ltrim({0}, '0'), ''), '0') ELSE {0} END",
        (("alpha_in('0000100012')", "100012"), ("alpha_in('00A1')", "00A1"), ("alpha_in('000')", "0")),
        keeps="first",
    ),
    Function(
        "alpha_out",
        "SAP's ALPHA on the way out: a number with leading zeros up to a width; other ids stay.",
        (X, Parameter("width", "integer", constant=True)),
        "text",
        render.alpha_out,
        (("alpha_out('100012', 10)", "0000100012"), ("alpha_out('A1', 10)", "A1")),
        keeps="first",
    ),
    # -- checked codes
    Function(
        "gtin",
        "A GTIN (EAN, UPC) of 8, 12, 13 or 14 digits whose check digit is right; anything else fails.",
        (X,),
        "text",
        formats.gtin,
        (
            ("gtin('4006381333931')", "4006381333931"),
            ("gtin('96385074')", "96385074"),
            ("gtin('036000291452')", "036000291452"),
        ),
        raises=True,
    ),
    Function(
        "currency",
        "The code of a currency of ISO 4217, in large letters; anything else fails.",
        (X,),
        "text",
        formats.currency,
        (("currency(' eur')", "EUR"),),
        raises=True,
    ),
    Function(
        "phone",
        "A telephone number in E.164. One without + is read as of the country (two letters), and fails without it. "
        "Words, letters and extensions fail: E.164 has none, so cut them off first.",
        (X, Parameter("country", "text", optional=True)),
        "text",
        "{found}",
        (
            ("phone('030 901820', 'DE')", "+4930901820"),
            ("phone('Tel. +49 (0)30/90 18-20')", "+4930901820"),
            ("phone('+1 (202) 456-1111')", "+12024561111"),
            ("phone('0049 30 901820', 'DE')", "+4930901820"),
        ),
        raises=True,
        looked_up=True,
        check=formats.country_constant(1, "phonenumbers/data/region_{0}.py"),
    ),
    Function(
        "country",
        "A country's two letters of ISO 3166-1, from those, its three letters, its number, or its name in English or in the "
        "language that is written out ('de').",
        (X, Parameter("language", "text", constant=True, optional=True)),
        "text",
        "{found}",
        (
            ("country('Germany')", "DE"),
            ("country('usa')", "US"),
            ("country('at')", "AT"),
            ("country('Österreich', 'de')", "AT"),
        ),
        raises=True,
        looked_up=True,
        check=formats.language_constant(1),
    ),
    Function(
        "region",
        "A state or province of a country (two letters) as its code of ISO 3166-2, from that, its last part, or its name.",
        (X, Parameter("country", "text")),
        "text",
        "{found}",
        (
            ("region('California', 'US')", "US-CA"),
            ("region('by', 'DE')", "DE-BY"),
            ("split_part(region('us-ny', 'US'), '-', 2)", "NY"),
        ),
        raises=True,
        looked_up=True,
        check=formats.country_constant(1),
    ),
    Function(
        "vat",
        "A VAT number whose form and check digits are right, with its country's letters and without blanks and dots.",
        (X, Parameter("country", "text", optional=True)),
        "text",
        "{found}",
        (
            ("vat('DE 136.695.976')", "DE136695976"),
            ("vat('136695976', 'DE')", "DE136695976"),
            ("vat('CHE-107.787.577 IVA')", "CHE107787577IVA"),
            ("vat('EL 094259216', 'GR')", "EL094259216"),
        ),
        raises=True,
        looked_up=True,
        check=formats.country_constant(1, "stdnum/{1}/__init__.py"),
    ),
    # -- of the record
    Function(
        "ordinal",
        "The position of the item in the list that `each` names, from 1.",
        (),
        "integer",
        "",
        (("ordinal()", ["1", "2", "3"]),),
        only_here=True,
    ),
)
