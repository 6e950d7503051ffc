"""The functions of the mapping language: a closed table. A function without a true example cannot be added (a test runs them)."""

from __future__ import annotations

from mappings import functions_codes, functions_numbers, functions_text, functions_time
from mappings.function import Function, Parameter

__all__ = ["FUNCTIONS", "Function", "Parameter"]

_TABLES = (functions_text.TABLE, functions_numbers.TABLE, functions_time.TABLE, functions_codes.TABLE)
FUNCTIONS: dict[str, Function] = {function.name: function for table in _TABLES for function in table}
