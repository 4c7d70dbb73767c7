"""What a certificate says in words: the promise in one sentence, and the evidence in rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..decision import percent, percent_at_most
from ..spec import DecisionSpec

Held = Mapping[str, Any]
Rows = list[tuple[str, str]]


def promise(held: Held, decision: DecisionSpec) -> str:
    """Return what is promised, in one sentence."""
    asked, whole = held["objective"], "groups" if held["unit"] == "group" else ""
    rate, level = percent(asked["escape_rate"]), percent(asked["confidence"])
    if decision.margin is not None:
        told = f"of all {whole or 'parts'} at most {rate} are further off than {decision.margin:.6g}"
        told += ", without which none outside the limits passes"
    elif decision.decide_from is not None:
        told = f"of all {whole or 'decisions'} that stand without a person at most {rate} are wrong"
    elif decision.labels:
        each = f"{whole} with it" if whole else "pictures with it"
        told = f"for each of {', '.join(decision.labels)}, at most {rate} of the {each} pass"
    else:
        told = f"of all groups with a defect at most {rate} have one that passes"
        told = told if whole else f"of all parts with a defect at most {rate} pass"
    both = ""
    if asked["overkill_rate"] is not None:
        goods = "groups with a good part" if whole else "good parts"
        both = f"; of all {goods} at most {percent(asked['overkill_rate'])} are rejected, at {level} too"
        both += f" (both together at {percent(held['joint_confidence'])})"
    if held["estimate"]:
        return f"An estimate, no promise: {told}, at a nominal {level}{both}."
    return f"{told[0].upper()}{told[1:]}, at {level} confidence{both}."


def source(held: Held) -> str:
    """Return which images they are."""
    return "a later lot" if held["split"] == "lot" else f"split {held['split']}"


def verdicts_held(held: Held) -> dict[str, int]:
    """Return how many images got each verdict."""
    names = {"passed": "pass", "reviewed": "review by a person", "rejected": "reject"}
    return {told: int(held[name]) for name, told in names.items()}


def evidence(held: Held, decision: DecisionSpec) -> tuple[Rows, Rows]:
    """Return the two columns of evidence, each row a name and a value."""
    if decision.decide_from is not None:
        return [
            ("Decided", f"{held['decided']:,}"),
            ("Wrong among them", f"{held['errors']:,}"),
            ("Error rate, upper bound", percent_at_most(held["error_rate_upper_bound"])),
        ], [("Decision stands from", _number(decision.decide_from)), *_review(held)]
    thresholds: Rows = [("Margin", _number(decision.margin))] if decision.margin is not None else []
    pairs = zip(decision.labels or ("",), decision.pass_below, decision.reject_from, strict=False)
    for label, low, high in pairs:
        of = f" of {label}" if label else ""
        thresholds += [(f"Score{of} passes below", _number(low)), (f"Score{of} rejects from", _number(high))]
    unit = "Groups with a " if held["unit"] == "group" else ""
    left = [
        *_promised(held),
        (f"{unit}defect" if unit else "Defects", f"{held['defects']:,}"),
        ("Escapes", f"{held['escapes']:,}"),
        (f"{unit}good part" if unit else "Good parts", f"{held['goods']:,}"),
        ("Overkills", f"{held['overkills']:,}"),
        ("Overkill rate, bound by the counts", percent_at_most(held["overkill_rate_upper_bound"])),
    ]
    goods = held["goods_passed"]
    return left, [*thresholds, ("Good pictures that pass", f"{goods:,}"), *_review(held)]


def say_certificate(held: Held) -> str:
    """Return the lines for the terminal."""
    word, rate = "estimated" if held["estimate"] else "certified", "escape rate"
    asked, unit = held["objective"], "groups with a defect" if held["unit"] == "group" else "defects"
    if held["escapes"] is None:
        rate, bound = "error rate", percent_at_most(held["error_rate_upper_bound"])
        first = f"{held['errors']} of {held['decided']} decided are wrong, bound {bound}"
    elif "misses" in held:
        rate, bound = "miss rate", percent_at_most(held["miss_rate_upper_bound"])
        first = f"{held['misses']} of {held['pictures']} further off than {held['margin']:.6g}, bound {bound}; "
        first += f"{held['escapes']} of {held['defects']} {unit} escape"
    else:
        bound = percent_at_most(held["escape_rate_upper_bound"])
        first = f"{held['escapes']} of {held['defects']} {unit} escape, bound {bound}"
        first += " of the label missed most" if "labels" in held else ""
    counts = f"{held['passed']} pass, {held['reviewed']} to review, {held['rejected']} rejected"
    level = f"at {percent(asked['confidence'])}"
    lines = [f"{word}: {rate} {percent(asked['escape_rate'])} {level}: {first}", f"images: {counts}"]
    if held["goods_passed"] is not None:
        lines.append(f"good pictures that pass without a person: {held['goods_passed']}")
    if asked["overkill_rate"] is not None:
        lines.append(
            f"{word}: overkill rate {percent(asked['overkill_rate'])} {level}: {held['overkills']} of "
            f"{held['goods']} good rejected; both promises at {percent(held['joint_confidence'])}"
        )
    if held["copies_left_out"]:
        lines.append(f"copies of other images, which are no further draws: {held['copies_left_out']} left out")
    if (held["tests_on_this_data"] or 0) > 1:
        lines.append(f"these images have been used {held['tests_on_this_data']} times to certify")
    return "\n".join(lines)


def _review(held: Held) -> Rows:
    low, high = held["review_share_interval"]
    share = f"{100 * held['review_share']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    return [("Review share", share), ("Unit of the promise", held["unit"])]


def _promised(held: Held) -> Rows:
    """Return the rows of what is promised: misses of each label, values further off than the margin, or escapes."""
    if "misses" in held:
        misses = f"{held['misses']:,} of {held['pictures']:,}"
        return [("Misses", misses), ("Miss rate, upper bound", percent_at_most(held["miss_rate_upper_bound"]))]
    if "labels" in held:
        return [
            (
                f"{name} missed",
                f"{label['escapes']} of {label['defects']}, bound {percent_at_most(label['upper_bound'])}",
            )
            for name, label in held["labels"].items()
        ]
    return [("Escape rate, bound by the counts", percent_at_most(held["escape_rate_upper_bound"]))]


def _number(value: float) -> str:
    return f"{value:.9g}"
