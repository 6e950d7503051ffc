"""Every code that the gate and the reconciler use is explained, and every explanation is of a code that they use."""

from __future__ import annotations

import re
from pathlib import Path

import quality
from quality.codes import CODES

FOLDER = Path(quality.__file__).parent


def test_codes_and_explanations_are_the_same() -> None:
    used = {
        code
        for file in FOLDER.glob("*.py")
        if file.name != "codes.py"
        for code in re.findall(r"\b[QR]\d{3}\b", file.read_text())
    }
    assert used == set(CODES)


def test_an_explanation_says_what_to_do() -> None:
    short = [code for code, text in CODES.items() if "Fix:" not in text or text.count("\n") > 5]
    assert short == []
