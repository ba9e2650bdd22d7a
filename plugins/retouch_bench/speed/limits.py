"""Sections `ceilings` and `floors`: what everything else is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from retouch_bench.speed.ceilings import GIGA, TERA, Ceilings, copy, matrix_product
from retouch_bench.speed.setting import Setting, name_of

SIDE, BYTES = 8192, 2**30
TOY_SIDE, TOY_BYTES = 256, 2**22


def ceilings(setting: Setting) -> None:
    """Measure them, in the precision of the run and, on an accelerator, in the other half precision."""
    side, size = (TOY_SIDE, TOY_BYTES) if setting.toy else (SIDE, BYTES)
    copied = setting.report.attempt(
        "ceilings",
        {"what": f"copy of {size // 2**20} MiB on the device"},
        lambda: {"tbytes": copy(size, setting.device) / TERA},
    )
    for dtype in (setting.dtype, setting.half):

        def product(dtype: torch.dtype = dtype) -> Mapping[str, Any]:
            return {"tflops": matrix_product(side, setting.device, dtype) / TERA}

        found = setting.report.attempt("ceilings", {"what": f"matrix product {side}³, {name_of(dtype)}"}, product)
        if found and copied:
            setting.ceilings[dtype] = Ceilings(found["tflops"] * TERA, copied["tbytes"] * TERA)


def floors(setting: Setting) -> None:
    """Count operations and bytes on the meta device."""
    counted = setting.report.attempt("floors", {"network": setting.shape.name}, lambda: _count(setting))
    for part, work in setting.work.items() if counted else ():
        for rows in (1, 2, 32) if part == "denoiser" else (1,):
            floor = setting.floor(part, rows)
            setting.report.add(
                "floors",
                {
                    "part": part,
                    "rows": rows,
                    "tflop": work.flops / TERA,
                    "GB a call": work.bytes(rows) / GIGA,
                    "floor_ms_a_row": None if floor is None else floor / rows * 1e3,
                },
            )


def _count(setting: Setting) -> Mapping[str, Any]:
    setting.work = setting.shape.work(setting.dtype)
    return {"precision": name_of(setting.dtype)}
