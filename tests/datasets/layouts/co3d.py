"""CO3Dv2: PyTorch3D cameras in NDC, depth as the bits of float16, masks, compressed JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import save_image, save_text, somewhere

NAME = "co3d"
SIZE = (64, 48)
SEQUENCE = "110_13051_23361"
SCENE = f"apple/{SEQUENCE}"
SCALE = 0.8
K = np.array([[61.5, 0, 23.75], [0, 62.5, 31.0], [0, 0, 1]])
HALF_FLOAT = 2.0**-10
"""Relative step of float16."""


def write(folder: Path, clip: Clip, isotropic: bool = True) -> Written:
    """The original download with a set list."""
    frames, entries = [], []
    for n, (image, depth, pose) in enumerate(_recorded(folder, clip, SCALE)):
        entries.append(_entry(n, pose, isotropic))
        name = f"frame{n + 1:06d}"
        frames.append(FrameTruth(name, image, depth, K, pose, n / 10))
    entries.append({**entries[0], "sequence_name": "1_2_3"})
    _save(folder / "apple/frame_annotations.jgz", entries[::-1])
    sequences = [{"sequence_name": name, "category": "apple"} for name in ("1_2_3", SEQUENCE)]
    _save(folder / "apple/sequence_annotations.jgz", sequences)
    names = [[SEQUENCE, n, "path"] for n in range(len(clip))]
    splits = {"train": [["1_2_3", 0, "path"]], "val": [], "test": names}
    save_text(folder / "apple/set_lists/set_lists_fewview_dev.json", json.dumps(splits))
    lists = {"all": ["apple/1_2_3", SCENE], "train": ["apple/1_2_3"], "val": [], "test": [SCENE]}
    return Written(
        SCENE,
        frames,
        lists,
        {"set_list": "fewview_dev"},
        metric=False,
        depth_relative=HALF_FLOAT,
        pose_error=1e-12,
    )


def write_bounds(folder: Path, clip: Clip) -> Written:
    """The older NDC, whose unit differs along the sides; no set list."""
    written = write(folder, clip, isotropic=False)
    written.settings.clear()
    written.lists.clear()
    written.lists["all"] = ["apple/1_2_3", SCENE]
    return written


def write_reannotated(folder: Path, clip: Clip, opencv: bool = False) -> Written:
    """`<category>_test.jgz` of the pose evaluations (the download itself has scale 1 then)."""
    frames, entries = [], []
    for n, (image, depth, pose) in enumerate(_recorded(folder, clip, 1.0)):
        name = f"frame{n + 1:06d}"
        entry = {"filepath": f"{SCENE}/images/{name}.jpg", "bbox": [0, 0, 1, 1]}
        if opencv:
            entry["extri"] = np.linalg.solve(pose, np.eye(4))[:3].tolist()
            entry["intri"] = K.tolist()
        else:
            view = _viewpoint(pose, True)
            entry |= {key: view[key] for key in ("R", "T", "focal_length", "principal_point")}
        entries.append(entry)
        frames.append(FrameTruth(name, image, depth, K, pose))
    _save(folder / "annotations/apple_test.jgz", {SEQUENCE: entries})
    return Written(
        SCENE,
        frames,
        {"all": [SCENE], "test": [SCENE]},
        {"annotations": "annotations"},
        metric=False,
        depth_relative=HALF_FLOAT,
        pose_error=1e-12,
    )


def write_opencv(folder: Path, clip: Clip) -> Written:
    return write_reannotated(folder, clip, opencv=True)


def _recorded(folder: Path, clip: Clip, scale: float):
    images, depth = clip.view(K, SIZE)
    place = folder / SCENE
    for n in range(len(clip)):
        name = f"frame{n + 1:06d}"
        bits = (depth[n] / scale).astype(np.float16).view(np.uint16)
        mask = np.full(SIZE, 255, np.uint8)
        mask[:3] = 0
        expected = depth[n].copy()
        expected[:3] = 0
        # Stored without loss under the layout's name: what JPEG loses is no matter of this layout.
        save_image(place / f"images/{name}.jpg", images[n], format="PNG")
        save_image(place / f"depths/{name}.jpg.geometric.png", bits)
        save_image(place / f"depth_masks/{name}.png", mask)
        yield images[n], expected, somewhere() @ clip.world_from_camera[n]


def _viewpoint(pose: np.ndarray, isotropic: bool) -> dict:
    """x to the left, y up: the first two coordinates change sign, seen as x_world R + T."""
    world_to_camera = np.linalg.solve(pose, np.eye(4))
    flipped = world_to_camera[:3] * np.array([[-1.0], [-1.0], [1.0]])
    height, width = SIZE
    side_x, side_y = (48.0, 48.0) if isotropic else (width, height)
    return {
        "R": flipped[:, :3].T.tolist(),
        "T": flipped[:, 3].tolist(),
        "focal_length": [2 * K[0, 0] / side_x, 2 * K[1, 1] / side_y],
        "principal_point": [
            -2 * (K[0, 2] + 0.5 - width / 2) / side_x,
            -2 * (K[1, 2] + 0.5 - height / 2) / side_y,
        ],
        "intrinsics_format": "ndc_isotropic" if isotropic else "ndc_norm_image_bounds",
    }


def _entry(n: int, pose: np.ndarray, isotropic: bool) -> dict:
    name = f"frame{n + 1:06d}"
    return {
        "sequence_name": SEQUENCE,
        "frame_number": n,
        "frame_timestamp": n / 10,
        "image": {"path": f"{SCENE}/images/{name}.jpg", "size": list(SIZE)},
        "depth": {
            "path": f"{SCENE}/depths/{name}.jpg.geometric.png",
            "scale_adjustment": SCALE,
            "mask_path": f"{SCENE}/depth_masks/{name}.png",
        },
        "mask": {"path": f"{SCENE}/masks/{name}.png", "mass": 1.0},
        "viewpoint": _viewpoint(pose, isotropic),
        "meta": None,
    }


def _save(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))


def _edited(change) -> object:
    def edit(folder: Path) -> None:
        file = folder / "apple/frame_annotations.jgz"
        entries = json.loads(gzip.decompress(file.read_bytes()))
        change(next(e for e in entries if e["sequence_name"] == SEQUENCE))
        _save(file, entries)

    return edit


VARIANTS = {
    "original": write,
    "older NDC": write_bounds,
    "re-annotated": write_reannotated,
    "OpenCV": write_opencv,
}
_DEPTH = f"{SCENE}/depths/frame000002.jpg.geometric.png"
DAMAGES = {
    "missing depth": damage.removed(_DEPTH),
    "missing mask": damage.removed(f"{SCENE}/depth_masks/frame000002.png"),
    "unreadable image": damage.unreadable(f"{SCENE}/images/frame000002.jpg"),
    "wrong size": damage.codes_of_size(_DEPTH, (48, 48)),
    "image of another size": damage.image_of_size(f"{SCENE}/images/frame000002.jpg", (32, 24)),
    "truncated annotations": damage.truncated("apple/frame_annotations.jgz"),
    "NaN pose": (
        _edited(lambda e: e["viewpoint"].update(T=[float("nan"), 0, 0])),
        "pose of frame",
    ),
    "unknown intrinsics": (
        _edited(lambda e: e["viewpoint"].update(intrinsics_format="screen")),
        "frame_annotations.jgz",
    ),
    "odd scale": (
        _edited(lambda e: e["depth"].update(scale_adjustment="large")),
        "frame_annotations.jgz",
    ),
    "missing key": (_edited(lambda e: e.pop("image")), "frame_annotations.jgz"),
}
