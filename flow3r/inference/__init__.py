"""From pictures to a point cloud with cameras: read frames, run a model, write files.

    model = flow3r.load("outputs/runs/RUN_ID")
    frames = read_frames("clip.mp4", FrameSettings(frames=8))
    result = reconstruct(model, frames, ReconstructionSettings())
    write_glb("clip.glb", result)

The world of a reconstruction is the camera frame of its first frame (OpenCV axes: x right, y down,
z forward); its scale is the model's own.
"""

from flow3r.inference.archive import write_archive
from flow3r.inference.frames import Frames, FrameSettings, read_frames
from flow3r.inference.glb import write_glb
from flow3r.inference.ply import write_ply
from flow3r.inference.reconstruct import ReconstructionSettings, reconstruct
from flow3r.inference.recording import write_recording
from flow3r.inference.result import Reconstruction
from flow3r.inference.size import SizeRule

__all__ = [
    "FrameSettings",
    "Frames",
    "Reconstruction",
    "ReconstructionSettings",
    "SizeRule",
    "read_frames",
    "reconstruct",
    "write_archive",
    "write_glb",
    "write_ply",
    "write_recording",
]
