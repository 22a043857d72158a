"""Inputs that are broken in every way we could think of: each is counted, nothing crashes."""

import json
import os
import shutil
import struct

import av
import cv2
import numpy as np
import pytest

from flow3r.data.video.config import IngestConfig
from flow3r.data.video.decode import clip_frames
from flow3r.data.video.ingest import SKIPPED, ingest

CONFIG = IngestConfig(frames=2, gap_seconds=0.1, spacing_seconds=0.2, min_side=16)
CODECS = {
    ".mp4": "libx264",
    ".mkv": "libx264",
    ".ts": "libx264",
    ".avi": "mpeg4",
    ".mpg": "mpeg2video",
    ".mov": "mjpeg",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory, moving_frames, write_video):
    """Extension -> the bytes of a sound video of 12 frames."""
    folder = tmp_path_factory.mktemp("good")
    frames = moving_frames(12, (2, 1), (48, 64))
    made = {}
    for extension, codec in CODECS.items():
        pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        path = folder / f"good{extension}"
        write_video(path, frames, codec=codec, options={"g": "6"}, pix_fmt=pix_fmt)
        made[extension] = path.read_bytes()
    return made


class Spoiler:
    """Makes damaged inputs in a folder, the same ones for the same numbers."""

    def __init__(self, folder, good, write_video):
        self.folder, self.good, self.write_video = folder, good, write_video
        self.kinds = [
            name.removeprefix("make_") for name in sorted(dir(self)) if name.startswith("make_")
        ]

    def make(self, number):
        kind = self.kinds[number % len(self.kinds)]
        rng = np.random.default_rng(number)
        extension = list(CODECS)[number // len(self.kinds) % len(CODECS)]
        # In a folder of its own: pictures whose names differ in a number would be a sequence.
        own = self.folder / f"{number:03d}"
        own.mkdir()
        stem = own / kind
        getattr(self, f"make_{kind}")(stem, extension, rng)

    def _write(self, stem, extension, data):
        stem.with_suffix(extension).write_bytes(data)

    def make_truncated(self, stem, extension, rng):
        data = self.good[extension]
        self._write(stem, extension, data[: rng.integers(1, len(data))])

    def make_zero_bytes(self, stem, extension, rng):
        self._write(stem, extension, b"")

    def make_only_zeros(self, stem, extension, rng):
        self._write(stem, extension, bytes(int(rng.integers(1, 50000))))

    def make_noise(self, stem, extension, rng):
        self._write(stem, extension, rng.bytes(int(rng.integers(1, 50000))))

    def make_flipped(self, stem, extension, rng):
        data = bytearray(self.good[extension])
        for at in rng.integers(0, len(data), 30):
            data[at] ^= int(rng.integers(1, 256))
        self._write(stem, extension, bytes(data))

    def make_huge_header(self, stem, extension, rng):
        """Large numbers anywhere in the header."""
        data = bytearray(self.good[extension])
        for at in rng.integers(0, min(900, len(data) - 8), 3):
            data[at : at + 4] = rng.choice(
                [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\xff\xff"]
            )
        self._write(stem, extension, bytes(data))

    def make_huge_picture(self, stem, extension, rng):
        """A sound file whose header asks for 60000 x 60000 pixels."""
        data = bytearray(self.good[".avi"])
        at = data.index(b"strf") + 8
        data[at + 4 : at + 12] = struct.pack("<ii", 60000, 60000)
        self._write(stem, ".avi", bytes(data))

    def make_hole(self, stem, extension, rng):
        data = self.good[extension]
        at, length = rng.integers(0, len(data), 2)
        self._write(stem, extension, data[:at] + bytes(int(length) // 4) + data[at + length // 4 :])

    def make_text(self, stem, extension, rng):
        self._write(stem, extension, b"this is no video\n" * int(rng.integers(1, 999)))

    def make_wrong_extension(self, stem, extension, rng):
        other = rng.choice([e for e in CODECS if e != extension])
        data = self.good[str(other)]
        self._write(stem, rng.choice([extension, ".png", ".txt", ".jpg", ""]), data)

    def make_picture(self, stem, extension, rng):
        image = cv2.imencode(".png", rng.integers(0, 255, (40, 40, 3), np.uint8))[1]
        self._write(stem, extension, image.tobytes())

    def make_sound(self, stem, extension, rng):
        with av.open(str(stem.with_suffix(".mp4")), "w") as container:
            stream = container.add_stream("aac", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def make_odd_size(self, stem, extension, rng):
        height, width = rng.choice([1, 2, 3, 5, 17, 33, 2001], 2)
        frames = list(rng.integers(0, 255, (3, height, width, 3), np.uint8))
        self.write_video(
            stem.with_suffix(".mov"),
            frames,
            codec="png",
            options={"pred": "none"},
            pix_fmt="rgb24",
        )

    def make_one_frame(self, stem, extension, rng):
        frames = list(rng.integers(0, 255, (1, 48, 64, 3), np.uint8))
        self.write_video(stem.with_suffix(".mp4"), frames)

    def make_unreadable(self, stem, extension, rng):
        """Root may read everything: for it, a file whose reading fails."""
        path = stem.with_suffix(extension)
        if os.geteuid():
            path.write_bytes(self.good[extension])
            path.chmod(0)
        else:
            path.symlink_to("/proc/self/mem")

    def make_loop(self, stem, extension, rng):
        target = rng.choice([self.folder, stem.with_suffix(extension), self.folder / "nowhere.mp4"])
        stem.with_suffix(extension).symlink_to(target)

    def make_pipe(self, stem, extension, rng):
        os.mkfifo(stem.with_suffix(extension))

    def make_folder(self, stem, extension, rng):
        stem.with_suffix(extension).mkdir()

    def make_name(self, stem, extension, rng):
        """Bytes that are no UTF-8, line ends, quotes, percent signs."""
        odd = rng.choice(
            [b"caf\xe9", b"\xff\xfe", b"new\nline", b"%d%s", b'"', b"\xf0\x9f\x8e\xa5"]
        )
        path = os.fsencode(stem) + odd + os.fsencode(extension)
        with open(path, "wb") as file:
            file.write(self.good[extension][: int(rng.integers(100, 3000))])

    def make_sequence(self, stem, extension, rng):
        """Frames that are missing, empty, cut short, of another size, or no pictures."""
        stem.mkdir()
        for n in range(8):
            size = (24, 32) if rng.random() < 0.2 else (48, 64)
            image = rng.integers(0, 255, (*size, 3), np.uint8)
            data = cv2.imencode(".jpg" if n % 2 else ".png", image)[1].tobytes()
            data = [data, data, data[: len(data) // 2], b"", b"text"][rng.integers(5)]
            if rng.random() < 0.8:
                (stem / f"{n:03d}.png").write_bytes(data)


def account(tmp_path, good, write_video, count):
    """Ingest so many damaged inputs and a sound one; everything must be accounted for."""
    folder, output = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    (folder / "sound.mkv").write_bytes(good[".mkv"])
    spoiler = Spoiler(folder, good, write_video)
    for number in range(count):
        spoiler.make(number)
    manifest = ingest(folder, CONFIG, output, workers=2)
    skipped = json.loads((output / SKIPPED).read_text())
    assert all(set(entry) == {"path", "reason"} and entry["reason"] for entry in skipped)
    named = {entry["path"].split("/")[0] for entry in skipped}
    named |= {name.split("/")[0] for name in manifest.column("source")}
    missing = {p.name for p in folder.iterdir() if _entries(p)} - named
    assert not missing, [list(os.walk(folder / name)) for name in missing]
    bad = [e for e in skipped if e["reason"].startswith(("crashed", "timed out", "failed", "find"))]
    assert not bad
    assert "sound.mkv" in manifest.column("source")
    for clip in manifest:
        assert clip_frames(clip, (16, 16)).shape == (len(clip.frame_numbers), 16, 16, 3)
    return skipped


def _entries(path):
    """What lies in a folder and in those below; of a file, itself."""
    if path.is_symlink() or not path.is_dir() or path.suffix:
        return 1
    return sum(map(_entries, path.iterdir()))


def test_damaged_inputs_are_counted(tmp_path, good, write_video):
    skipped = account(tmp_path, good, write_video, 42)
    assert len({entry["reason"].split(" (")[0] for entry in skipped}) >= 8


@pytest.mark.slow
def test_500_damaged_inputs_are_counted(tmp_path, good, write_video):
    account(tmp_path, good, write_video, 500)


def test_sound_files_of_every_kind_give_clips(tmp_path, good):
    folder = tmp_path / "videos"
    folder.mkdir()
    for extension, data in good.items():
        (folder / f"good{extension}").write_bytes(data)
    manifest = ingest(folder, CONFIG, tmp_path / "out", workers=1)
    assert {s.removeprefix("good") for s in manifest.column("source")} == set(good)
    shutil.rmtree(folder)
