"""What to write where a stage is given what is not its own: other programs' names, and what other stages are told."""

from __future__ import annotations

import json

from retouch.lang import syntax as s

CALLED = {  # by the names of diffusers and of programs with windows
    "num_inference_steps": "steps",
    "num_steps": "steps",
    "n_steps": "steps",
    "guidance_scale": "guidance",
    "cfg_scale": "guidance",
    "cfg": "guidance",
    "denoising_strength": "strength",
    "denoise": "strength",
    "negative_prompt": "negative",
    "steps": "iterations",  # of what has no walk of its own
    "max_train_steps": "iterations",
    "learning_rate": "lr",
}
_WRITTEN_ELSEWHERE = {  # options of recipes, which stand in one place
    "guidance": "write it on what samples: … | sample guidance={value}",
    "seed": "it is of the whole recipe, a line above: seed {value}",
    "caption": "it is of the picture: open caption={value}, or on the command line --caption",
    "model": "it is of the whole recipe, a line above: model {value}",
    "mask": "a stage before it makes the mask: mask file {value} | …",
    "prompt": 'what is to change stands behind the method, without a name: "cat"->"dog"',
}
_MADE_OF_TEXT = {  # by the type of a port that takes a flow, where a text was written
    "Mask": "a stage before it makes the mask, and nothing is named: mask file {value} | …",
    "Denoiser": "a model is a line of its own, above: model {value}",
    "Prompt": "a prompt stands behind the method, without a name: {value}",
}
_SAME = {"source": "prompt", "target": "prompt", "target_prompt": "prompt", "source_prompt": "prompt"}


def elsewhere(name: str, value: s.Value) -> str:
    """Where an option is written that this stage does not have; empty if nobody knows."""
    called = CALLED.get(name, _SAME.get(name, name))
    return _WRITTEN_ELSEWHERE.get(called, "").format(value=_as_written(value))


def of_text(port_type: str, value: s.Value) -> str:
    """What to write where a text stands for a flow that makes such a value; empty if nobody knows."""
    kind = "Prompt" if port_type.endswith("Prompt") else port_type
    return _MADE_OF_TEXT.get(kind, "").format(value=_as_written(value)) if isinstance(value, s.Text) else ""


def _as_written(value: s.Value) -> str:
    match value:
        case s.Text(value=text):
            return json.dumps(text, ensure_ascii=False)
        case s.Number(raw=raw):
            return raw
        case _:
            return "…"
