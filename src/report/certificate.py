"""Output of certifying: `certificate.json`, one printable sheet, and the lines for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..decision import Fitted, trade_off
from .certificate_curves import error_curves
from .certificate_words import evidence, promise, source, verdicts_held
from .environment import environment

TEMPLATE = "certificate.html.j2"

_VOIDS = (
    "another file than the one with this hash, or other thresholds",
    "another camera, light, product, resize or way to hold the part than these images show",
    "a kind of defect, or a mix of kinds, that these images do not show",
    "images among these that the model was trained or validated on, or a choice that was made by them",
)


def render_certificate(
    name: str, held: Mapping[str, Any], fitted: Fitted, groups: Sequence[str] | None
) -> dict[str, bytes]:
    """Return the content of `<name>.json` and `<name>.html`.

    Args:
        name: `certificate` or `estimate`.
        held: What it states, by the key of the JSON.
        fitted: The decision, and what its curves are drawn over.
        groups: The group of each image, or None.
    """
    curves = ""
    if fitted.scores is not None and fitted.is_defect is not None:
        rates = trade_off(fitted.scores, fitted.is_defect, held["confidence"], groups)
        curves = error_curves(rates, held["pass_below"], held["reject_from"], held["objective"])
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            title=name.capitalize(),
            data=held["data"],
            held=held,
            promise=promise(held, fitted.decision),
            source=source(held),
            verdicts=verdicts_held(held),
            evidence=evidence(held, fitted.decision),
            curves=curves,
            confidence=f"{100 * held['confidence']:.10g} %",
            assumed=assumptions(held),
            voids=_VOIDS,
        )
    )
    text = json.dumps(held, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return {f"{name}.json": text.encode(), f"{name}.html": page.encode(errors="replace")}


def assumptions(held: Mapping[str, Any]) -> list[str]:
    """Return what the numbers take for granted."""
    drawn = "groups (plants, lots, modules; copies lie in one)" if held["unit"] == "group" else "pictures"
    lines = [
        f"The {drawn} are independent draws from the line as it was when they were taken.",
        "Nothing was chosen by these images: no weight, epoch, temperature or threshold but those certified here.",
        "The labels of these images are right.",
    ]
    if held["unit"] == "image":
        lines.append("The data name no groups: pictures of one part, lot or module would count as too many draws.")
    if held["estimate"]:
        lines[1] = "These images chose the epoch that was kept: the numbers flatter, and promise nothing."
    elif not held["seen_images_excluded"]:
        lines.append("That none of them was trained or validated on could not be checked: no note of its run says so.")
    if held["copies_left_out"]:
        lines.append(f"Copies are no further draws: {held['copies_left_out']} images like others were left out.")
    if held["files_left_out"]:
        lines.append(f"{held['files_left_out']} files that could not be read, or are no pictures, were left out.")
    times = held["tests_on_this_data"]
    if times is None:
        lines.append("How often these images have certified before is not known: the bundle was apart from its run.")
    elif times == 1:
        lines.append("In this run these images have certified nothing before; what others used them for is not known.")
    else:
        lines.append(
            f"In this run these images have been used to certify {times} times: who picks the best of several files by "
            "them spends the confidence several times."
        )
    return lines
