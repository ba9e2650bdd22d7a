"""Meshes to files: PLY (Turk 1994) and binary glTF 2.0 (ISO/IEC 12113)."""

from __future__ import annotations

import json
import struct
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Ending, Need, Outbox, Range, stage
from retouch_scenes.field import Field
from retouch_scenes.meshing import Mesh, surface
from retouch_scenes.turntable import looking
from retouch_scenes.views import Views, focus

FLOAT, UNSIGNED = 5126, 5125  # glTF's types of numbers
VERTICES, INDICES = 34962, 34963  # what its buffers are for


@stage(
    "save",
    "mesh",
    needs=(
        Need(
            "frustum == 0",
            "is given a field of photographs from one side, which has no back",
            'open photographs from all around, or write fit field space="box"',
        ),
    ),
)
def save_mesh(
    field: Field,
    views: Views,
    outbox: Outbox,
    *,
    path: Annotated[str, Ending(".glb", ".ply")],
    opacity: Annotated[float, Range(0.01, 0.99)] = 0.2,
) -> None:
    """Write the surface of a field in a box as triangles with colours: what Blender and viewers of glTF open.

    A PLY has the places of the world, of one far from its origin in float64.  A GLB stands upright, its front to the
    first camera, and is shown without light, since its colours have theirs already; far from the origin it is about the
    cameras' middle, which its "extras" tell, since viewers work in float32.

    path: the file.
    opacity: what share of the light a voxel takes where the surface lies; lower ones keep more of what is thin.
    """
    mesh, centre = surface(field, opacity), field.space.centre
    turn = upright(views.about(centre))
    made = ply(mesh, centre) if path.lower().endswith(".ply") else glb(mesh, turn, centre)
    with outbox.file(path) as file:
        file.write(made)


def upright(views: Views) -> Tensor:
    """A turn of the world after which the cameras' up is y, and the first of them looks along -z.  [3, 3]"""
    up = F.normalize(views.poses[:, :3, 1].mean(0), dim=0)
    front = views.poses[0, :3, 3] - focus(views)
    return looking(front - (front @ up) * up, torch.zeros_like(up), up)[:3, :3].T


def ply(mesh: Mesh, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bytes:
    """The mesh as binary PLY, with colours in 8 bits; centre: what its places are counted from."""
    number, name = ("<f8", "double") if any(centre) else ("<f4", "float")
    vertices = np.empty(len(mesh.places), [("place", number, 3), ("colour", "u1", 3)])
    vertices["place"] = mesh.places.double().numpy() + np.array(centre)
    vertices["colour"] = (mesh.colours * 255).round().byte().numpy()
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"], faces["vertices"] = 3, mesh.faces.numpy()
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}"]
    head += [f"property {name} {axis}" for axis in "xyz"]
    head += [f"property uchar {colour}" for colour in ("red", "green", "blue")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    return "\n".join(head).encode() + vertices.tobytes() + faces.tobytes()


def glb(mesh: Mesh, turn: Tensor, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> bytes:
    """The mesh as binary glTF; turn: [3, 3], of its node; centre: what its places are counted from."""
    parts = [
        (mesh.places.numpy().astype("<f4"), VERTICES, "VEC3"),
        (linear(mesh.colours).numpy().astype("<f4"), VERTICES, "VEC3"),
        (mesh.faces.numpy().astype("<u4").reshape(-1, 1), INDICES, "SCALAR"),
    ]
    views, accessors, at = list[Any](), list[Any](), 0
    for k, (values, target, kind) in enumerate(parts):
        views.append({"buffer": 0, "byteOffset": at, "byteLength": values.nbytes, "target": target})
        number = UNSIGNED if target == INDICES else FLOAT
        accessors.append({"bufferView": k, "componentType": number, "count": len(values), "type": kind})
        at += values.nbytes
    accessors[0] |= {"min": parts[0][0].min(0).tolist(), "max": parts[0][0].max(0).tolist()}
    extras = {"extras": {"centre": list(centre)}} if any(centre) else {}
    matrix = torch.eye(4)
    matrix[:3, :3] = turn
    primitive = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}
    said = {
        "asset": {"version": "2.0", "generator": "retouch"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "matrix": matrix.T.flatten().tolist(), **extras}],  # by columns
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"extensions": {"KHR_materials_unlit": {}}}],
        "buffers": [{"byteLength": at}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(said, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    numbers = b"".join(values.tobytes() for values, _, _ in parts)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(numbers), b"BIN\0") + numbers
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def linear(colours: Tensor) -> Tensor:
    """Colours of pictures as light, which is what glTF multiplies.  sRGB, IEC 61966-2-1"""
    return torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
