"""Shared test settings: one torch thread per worker process, no network, repeatable."""

import os
import resource

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

from flow3r.data.pairs import ordered_pairs
from flow3r.data.store import ClipStore, ClipStoreWriter, StoreLayout

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def largest_file():
    """A function: no file of this process may become larger than so many bytes.

    To a writer it is what a full disk is.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def make_store(tmp_path):
    """A function: name, number of clips, seed -> a finished store with random content."""

    def make(name: str, count: int, seed: int = 0, frames: int = 2, labelled: bool = True):
        generator = torch.Generator().manual_seed(seed)
        pairs = ordered_pairs(frames)
        layout = StoreLayout(frames, 16, 24, tuple(map(tuple, pairs.tolist())), labelled)
        writer = ClipStoreWriter(tmp_path / name, count, layout)
        for index in range(count):
            images = torch.rand(frames, 3, 16, 24, generator=generator)
            target = torch.rand(len(pairs), 16, 24, 2, generator=generator) * 16
            covisibility = torch.rand(len(pairs), 16, 24, generator=generator)
            labels = {
                "depth": torch.rand(frames, 16, 24, generator=generator) + 1,
                "intrinsics": torch.eye(3).repeat(frames, 1, 1),
                "world_from_camera": torch.eye(4).repeat(frames, 1, 1),
                "moving": torch.rand(frames, 16, 24, generator=generator) > 0.5,
            }
            writer.write(index, images, target, covisibility, labels if labelled else None)
        writer.finish({"made": "for a test"})
        return ClipStore.open(tmp_path / name)

    return make


@pytest.fixture(scope="session")
def make_manifest():
    """A function: folder, number of videos, clips of each -> the path of a manifest of videos.

    Clips are 3 frames, 3 video frames apart, of 96 x 128 px; the picture moves by (2, -1) px from
    one video frame to the next.
    """
    av, np = pytest.importorskip("av"), pytest.importorskip("numpy")
    pytest.importorskip("pyarrow")
    from flow3r.data.video.files import fingerprint
    from flow3r.data.video.manifest import ManifestClip, write_manifest

    def write_video(path, number):
        noise = torch.rand(1, 1, 24, 32, generator=torch.Generator().manual_seed(number))
        texture = torch.nn.functional.interpolate(noise, (240, 320), mode="bicubic")[0, 0]
        texture = (texture.clamp(0, 1) * 255).byte().numpy()
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"crf": "8", "g": "10"})
            stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
            for i in range(30):
                part = texture[60 + i : 156 + i, 100 - 2 * i : 228 - 2 * i]
                image = np.ascontiguousarray(np.stack([part] * 3, -1))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))

    def make(folder, videos=2, clips=3):
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for number in range(videos):
            path = folder / f"{number}.mp4"
            write_video(path, number)
            for start in range(clips):
                numbers = tuple(range(6 * start, 6 * start + 7))
                rows.append(
                    ManifestClip(
                        name=f"{path.name}/{numbers[0]:06d}",
                        source=path.name,
                        path=path,
                        kind="file",
                        fingerprint=fingerprint(path),
                        shot=0,
                        frame_numbers=numbers,
                        frame_seconds=tuple(n / 30 for n in numbers),
                        clip_positions=(0, 3, 6),
                        height=96,
                        width=128,
                        pixel_aspect=1.0,
                        motion=0.1,
                        overlap=0.9,
                    )
                )
        write_manifest(folder / "manifest.parquet", rows, folder)
        return folder / "manifest.parquet"

    return make
