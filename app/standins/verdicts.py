"""The rules by which the AI stand-in checks facts: few and visible, so that a test can predict a verdict.

1. A sum, difference or product of whole numbers is calculated: "2 + 2 = 5" is false.
2. A text with one of the sentences below is what stands beside it.
3. Everything else is unverified.
"""

import operator
import re

SENTENCES = {
    "the earth is flat": "false",
    "the earth is round": "true",
    "the moon is made of cheese": "false",
    "the moon orbits the earth": "true",
    "vaccines cause autism": "false",
    "water is made of hydrogen and oxygen": "true",
}
SUM = re.compile(r"(?<![\d.])(-?\d{1,9})\s*([-+*x])\s*(-?\d{1,9})\s*=\s*(-?\d{1,18})(?![\d.]*\d)")
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "x": operator.mul}


def verdict(text: str) -> dict[str, object]:
    """Returns {"verdict": "true" | "false" | "unverified", "confidence": 0..1, "reason": a sentence}."""
    if found := SUM.search(text):
        left, sign, right, claimed = found.groups()
        result = OPERATIONS[sign](int(left), int(right))
        truth = "true" if result == int(claimed) else "false"
        return _answer(truth, 0.99, f"{left} {sign} {right} is {result}.")
    said = " ".join(text.lower().split())
    for sentence, truth in SENTENCES.items():
        if sentence in said:
            return _answer(truth, 0.9, f"It is {truth} that {sentence}.")
    return _answer("unverified", 0.5, "No rule speaks about this.")


def _answer(truth: str, confidence: float, reason: str) -> dict[str, object]:
    return {"verdict": truth, "confidence": confidence, "reason": reason}
