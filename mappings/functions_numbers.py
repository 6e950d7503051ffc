"""Functions over numbers, flags and choices."""

from __future__ import annotations

from mappings import formats, render, sql
from mappings.function import Function, Parameter, X

_SAME = Parameter("x", "same", repeated=True)
_DECIMAL_COMMA = sql.text(r"[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?")

TABLE = (
    # -- choices
    Function(
        "coalesce",
        "The first that is not missing.",
        (_SAME,),
        "same",
        "coalesce({all})",
        (("coalesce(null, 'US')", "US"), ("coalesce(null, 2, 3)", 2)),
    ),
    Function(
        "nullif",
        "Missing if it equals the second, else itself.",
        (Parameter("x", "same"), Parameter("y", "same")),
        "same",
        "nullif({0}, {1})",
        (("nullif('00000000', '00000000')", None), ("nullif('a', 'b')", "a")),
    ),
    Function(
        "if",
        "One of two; the second also where the condition is missing.",
        (Parameter("condition", "boolean"), Parameter("x", "same"), Parameter("y", "same")),
        "same",
        "CASE WHEN {0} THEN {1} ELSE {2} END",
        (("if(2 > 1, 'a', 'b')", "a"), ("if(null, 'a', 'b')", "b")),
    ),
    Function(
        "greatest",
        "The greatest; missing ones do not count.",
        (_SAME,),
        "same",
        "greatest({all})",
        (("greatest(1, 3, 2)", 3), ("greatest(null, 2)", 2)),
    ),
    Function(
        "least",
        "The least; missing ones do not count.",
        (_SAME,),
        "same",
        "least({all})",
        (("least(1.5, 0.5)", "0.5"), ("least('b', 'a')", "a")),
    ),
    # -- numbers
    Function(
        "number",
        "A text as an exact number: digits with a decimal point.",
        (Parameter("x", "number"),),
        "number",
        "{0}",
        (("number('12.50')", "12.5"), ("number('-3')", "-3")),
    ),
    Function(
        "integer",
        "A text as a whole number; '12.0' is none.",
        (Parameter("x", "integer"),),
        "integer",
        "{0}",
        (("integer('012')", 12),),
    ),
    Function(
        "abs",
        "Without its sign.",
        (Parameter("x", "numeric"),),
        "numeric",
        render.absolute,
        (("abs(-2.5)", "2.5"), ("abs(-2)", 2)),
        raises=True,
    ),
    Function(
        "round",
        "Rounded to decimals (default 0), half away from zero.",
        (Parameter("x", "number"), Parameter("decimals", "integer", constant=True, optional=True)),
        "number",
        render.round,
        (("round(0.145, 2)", "0.15"), ("round(-2.5)", "-3"), ("round('1.005', 2)", "1.01")),
    ),
    Function(
        "floor",
        "The next whole number below.",
        (Parameter("x", "number"),),
        "number",
        "floor({0})",
        (("floor(-1.5)", "-2"),),
    ),
    Function(
        "ceil",
        "The next whole number above.",
        (Parameter("x", "number"),),
        "number",
        "ceil({0})",
        (("ceil(1.2)", "2"),),
    ),
    Function(
        "share",
        "The item's part of an amount of the whole record, in proportion to a weight of each item (which may be computed), "
        "exact to decimals (default 2): the parts of all items of `each` add up to the amount, to the cent.",
        (
            Parameter("amount", "number"),
            Parameter("weight", "number"),
            Parameter("decimals", "integer", constant=True, optional=True),
        ),
        "number",
        "",
        (
            ("share(record.amount, weight)", ["3.33", "3.34", "3.33"]),
            ("share(-5, case sku when 'A' then 3 else 1 end, 0)", ["-3", "-1", "-1"]),
        ),
        raises=True,
        only_here=True,
    ),
    Function(
        "divide",
        "a ÷ b, exact to the decimals (at most 10), half away from zero; a / b is divide(a, b, 10). Division by zero rejects the row.",
        (Parameter("a", "number"), Parameter("b", "number"), Parameter("decimals", "integer", constant=True)),
        "number",
        render.divide,
        (
            ("divide(10, 3, 2)", "3.33"),
            ("divide(-10, 3, 0)", "-3"),
            ("divide(1, 8, 2)", "0.13"),
            ("divide('29.97', 3, 2)", "9.99"),
        ),
        raises=True,
    ),
    Function(
        "decimal_comma",
        "A number with a decimal comma and perhaps points between thousands: '1.234,50'. '1.234' is 1234.",
        (X,),
        "number",
        "CASE WHEN regexp_full_match({0}, " + _DECIMAL_COMMA.replace("{", "{{").replace("}", "}}") + ")"
        " THEN TRY_CAST(replace(replace({0}, '.', ''), ',', '.') AS DECIMAL(27,10)) END",
        (
            ("decimal_comma('1.234,50')", "1234.5"),
            ("decimal_comma('-0,5')", "-0.5"),
            ("decimal_comma('1.234')", "1234"),
        ),
        raises=True,
    ),
    Function(
        "sap_number",
        "A number with a decimal point whose sign may stand behind it, and blanks around it, as SAP writes it.",
        (X,),
        "number",
        formats.sap_number,
        (("sap_number('123.45-')", "-123.45"), ("sap_number('  10.00 ')", "10"), ("sap_number('-3')", "-3")),
        raises=True,
    ),
    Function(
        "implied_decimals",
        "Digits of which the last ones (at most 6) are decimals; the sign may stand at the end.",
        (X, Parameter("decimals", "integer", constant=True)),
        "number",
        formats.implied_decimals,
        (
            ("implied_decimals('12345', 2)", "123.45"),
            ("implied_decimals('0000012345-', 2)", "-123.45"),
            ("implied_decimals('7', 3)", "0.007"),
        ),
        raises=True,
    ),
    Function(
        "from_minor",
        "Money from whole minor units by the decimals of its currency: 1250 EUR is 12.5, 1250 JPY is 1250, 1250 BHD 1.25.",
        (Parameter("x", "number"), Parameter("currency", "text")),
        "number",
        formats.from_minor,
        (
            ("from_minor('1250', 'EUR')", "12.5"),
            ("from_minor(1250, 'JPY')", "1250"),
            ("from_minor(1250, upper('bhd'))", "1.25"),
        ),
        raises=True,
    ),
    Function(
        "to_minor",
        "Money in whole minor units by the decimals of its currency. More decimals than it has fail: round first.",
        (Parameter("x", "number"), Parameter("currency", "text")),
        "integer",
        formats.to_minor,
        (
            ("to_minor('12.50', 'EUR')", 1250),
            ("to_minor(1250, 'JPY')", 1250),
            ("to_minor(-1.255, upper('bhd'))", -1255),
        ),
        raises=True,
    ),
    Function(
        "minor_units",
        "Cents as money: 1250 → 12.5. The second argument says how many decimals the currency has (default 2).",
        (Parameter("x", "number"), Parameter("decimals", "integer", constant=True, optional=True)),
        "number",
        render.minor_units,
        (("minor_units('1250')", "12.5"), ("minor_units(1250, 3)", "1.25"), ("minor_units(7, 0)", "7")),
        raises=True,
    ),
    # -- yes and no
    Function(
        "boolean",
        "true yes y t 1, false no n f 0, in any case of letters; nothing else.",
        (Parameter("x", "boolean"),),
        "boolean",
        "{0}",
        (("boolean('Yes')", True), ("boolean('0')", False)),
    ),
    Function(
        "flag",
        "A flag as SAP writes it: X is true, a missing value false; else like boolean().",
        (X,),
        "boolean",
        "CASE WHEN {0} IS NULL THEN false WHEN upper({0}) = 'X' THEN true ELSE TRY_CAST({0} AS BOOLEAN) END",
        (("flag('X')", True), ("flag(null)", False), ("flag('no')", False)),
        raises=True,
    ),
)
