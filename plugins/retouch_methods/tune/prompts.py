"""Prompts out of an edit that a stage made: put in where later stages ask for one of them."""

from __future__ import annotations

from dataclasses import replace

from retouch.api import Edit, NegativePrompt, SourcePrompt, TargetPrompt, TextEncoder, gather, stage


@stage("view", "source")
def view_source(edit: Edit) -> SourcePrompt:
    """What the picture shows, by the edit as it is now."""
    return edit.source.of(SourcePrompt)


@stage("view", "target")
def view_target(edit: Edit) -> TargetPrompt:
    """What the picture is to show, by the edit as it is now."""
    return edit.target.of(TargetPrompt)


@stage("view", "negative")
def view_negative(edit: Edit) -> NegativePrompt:
    """What guidance leads away from, by the edit as it is now."""
    return edit.negative.of(NegativePrompt)


@stage("view", "prompts")
async def view_prompts(edit: Edit, texts: TextEncoder) -> Edit:
    """Read the prompts of the turn anew, by a text encoder that was taught words."""
    said = (edit.source, edit.target, edit.negative)
    source, target, negative = await gather(texts.prompt(prompt.text) for prompt in said)
    return replace(edit, source=source, target=target, negative=negative)
