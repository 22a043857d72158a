"""OmniWorld-Game: splits of a scene, world-to-camera quaternions (w x y z), a depth buffer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from dataset_layouts import damage
from dataset_layouts.clip import Clip, FrameTruth, Written
from dataset_layouts.files import quaternion, save_image, save_text, somewhere

NAME = "omniworld"
SIZE = (36, 64)
UID = "b04f88d1f85a"
SCENE = f"{UID}/split_1"
FOCALS = (58.0, 58.5, 59.0)


def write(folder: Path, clip: Clip, place: str = UID, pictures: str = UID) -> Written:
    frames, camera = [], {"focals": [], "cx": 32.25, "cy": 17.75, "quats": [], "trans": []}
    numbers = [n + 100 for n in range(len(clip))]
    for n, number in enumerate(numbers):
        focal = FOCALS[n % 3]
        k = np.array([[focal, 0, 31.75], [0, focal, 17.25], [0, 0, 1]])
        images, depth = clip.view(k, SIZE)
        pose = somewhere() @ clip.world_from_camera[n]
        codes, expected = _buffer(depth[n])
        save_image(folder / pictures / f"color/{number:06d}.png", images[n])
        save_image(folder / place / f"depth/{number:06d}.png", codes)
        world_to_camera = np.linalg.solve(pose, np.eye(4))
        x, y, z, w = quaternion(world_to_camera[:3, :3])
        camera["focals"].append(focal)
        camera["quats"].append([w, x, y, z])
        camera["trans"].append(world_to_camera[:3, 3].tolist())
        frames.append(FrameTruth(f"{number:06d}", images[n], expected, k, pose))
    splits = {"split": [[0, 1], numbers], "split_num": 2}
    save_text(folder / place / "split_info.json", json.dumps(splits))
    save_text(folder / place / "camera/split_1.json", json.dumps(camera))
    return Written(
        SCENE,
        frames,
        {"all": [f"{UID}/split_0", SCENE]},
        dynamic=True,
        metric=False,
        depth_step=8e-3,
        pose_error=1e-9,
    )


def write_download(folder: Path, clip: Clip) -> Written:
    """Annotations and pictures apart, with the table that names the test splits."""
    roots = (f"{kind}/OmniWorld-Game/{UID}" for kind in ("annotations", "videos"))
    written = write(folder, clip, *roots)
    table = "UID,Split Num,Test Split Index,FPS\nffff,1,,24.0\n" + f'{UID},2,"1",24.0\n'
    save_text(folder / "metadata/omniworld_game_metadata.csv", table)
    written.lists.update({"train": [f"{UID}/split_0"], "test": [SCENE]})
    return written


def _buffer(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint16 codes of z = d / (1000 - 999 d) / 0.004, solved for d; sky and too near pixels."""
    d = 4 * depth.astype(np.float64) / (1 + 3.996 * depth)
    codes, expected = np.rint(d * 65535).astype(np.uint16), depth.copy()
    codes[0, :4], expected[0, :4] = 65535, 0
    codes[1, :4], expected[1, :4] = 60, 0
    return codes, expected


VARIANTS = {"scene": write, "download": write_download}
DAMAGES = {
    "missing depth": damage.removed(f"{UID}/depth/000101.png"),
    "missing cameras": damage.removed(f"{UID}/camera/split_1.json"),
    "odd cameras": damage.text(f"{UID}/camera/split_1.json", '{"focals": [1]}'),
    "broken JSON": damage.truncated(f"{UID}/split_info.json", 5),
    "wrong count": damage.text(
        f"{UID}/split_info.json", '{"split": [[0, 1], [100, 101]]}', "split_1.json"
    ),
    "NaN pose": damage.replaced(
        f"{UID}/camera/split_1.json", '"trans": [[', '"trans": [[NaN, 0, 0], [', "split_1.json"
    ),
    "unreadable image": damage.unreadable(f"{UID}/color/000101.png"),
    "wrong size": damage.codes_of_size(f"{UID}/depth/000101.png", (48, 48)),
}
