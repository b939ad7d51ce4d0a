"""The page's sections in order, and the page made of them."""

from __future__ import annotations

from src.v2.page.identity import RunIdentity
from src.v2.page.panels import Section
from src.v2.page.render import Page, make_page
from src.v2.page.sections import (
    appendix,
    card,
    cases,
    design,
    drivers,
    errors,
    null_test,
    shape,
    skill,
    stability,
    trust,
    verdict,
)
from src.v2.records import TrainingResult


def build_page(result: TrainingResult, identity: RunIdentity) -> Page:
    """Make the page of a run; it reads no clock, and equal input gives equal bytes.

    Parameters
    ----------
    identity
        Whose run it is.
    """
    return make_page(page_sections(result, identity), result, identity, card.title_of(result))


def page_sections(result: TrainingResult, identity: RunIdentity) -> tuple[Section, ...]:
    """Answer the reader's questions, the most important one first."""
    return (
        verdict.section(result),
        card.section(result, identity),
        design.section(result),
        skill.section(result),
        null_test.section(result),
        errors.section(result),
        drivers.section(result),
        shape.section(result),
        stability.section(result),
        cases.section(result),
        trust.section(result),
        appendix.section(result),
    )
