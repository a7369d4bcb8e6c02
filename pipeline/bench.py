"""Measure a whole run beside a bare decode-encode of the same clip, in turns.

Each measurement is a process of its own (`python -m vidfilter.pipeline.bench JOB`), so that memory
and CPU time are its own too; start-up (imports, models, opening) is left out.
"""

from __future__ import annotations

import itertools
import json
import mmap
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import MediaError
from .registry import module, stage_class
from .spec import PipelineSpec, StageSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    import av.container


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: frames, wall and CPU seconds without start-up, memory in MB (peak, early, end)."""

    frames: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    early_mb: float
    end_mb: float

    @property
    def fps(self) -> float:
        """Frames per second of wall time."""
        return self.frames / self.wall_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is our frame rate by the bare one; `extra_ms` our CPU per frame beyond it."""

    bare: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]

    @property
    def ratio(self) -> float:
        """Median over the rounds of the ratio within a round."""
        pairs = zip(self.bare, self.ours, strict=True)
        return statistics.median(ours.fps / bare.fps for bare, ours in pairs)

    @property
    def extra_ms(self) -> float:
        """CPU milliseconds per frame of all that is neither decoding nor encoding."""
        pairs = zip(self.bare, self.ours, strict=True)
        return statistics.median(
            1e3 * (ours.cpu_s - bare.cpu_s) / bare.frames for bare, ours in pairs
        )

    def summary(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        return {
            "ratio": round(self.ratio, 4),
            "extra_cpu_ms_per_frame": round(self.extra_ms, 3),
            "bare": [asdict(m) | {"fps": round(m.fps, 1)} for m in self.bare],
            "ours": [asdict(m) | {"fps": round(m.fps, 1)} for m in self.ours],
        }


def make_clip(path: Path, frames: int, width: int = 1280, height: int = 720) -> None:
    """Render the test face into `path`."""
    from .runner import Pipeline

    source = {"source": "test", "width": width, "height": height, "duration": frames / 30}
    sink = {"path": str(path), "preset": "veryfast", "crf": 18}
    stages = (StageSpec("capture", "capture", source), StageSpec("file", "file", sink))
    Pipeline(PipelineSpec(stages)).run()


def lengthen(source: Path, target: Path, frames: int) -> None:
    """Repeat the video packets of `source` until `target` holds at least `frames`.

    Raises MediaError where there are none, or where mp4 cannot hold them.
    """
    import av

    media: Any = module("stages", "_media")
    media.check_readable(source)
    try:
        with av.open(str(target), "w") as output:
            stream, offset, count = None, 0, 0
            while count < frames:
                with media.open_container(str(source)) as clip:
                    if not clip.streams.video:
                        raise MediaError(f"{source} has no video")
                    stream = stream or output.add_stream_from_template(clip.streams.video[0])
                    end, added = _append(clip, output, stream, offset)
                if not added:
                    raise MediaError(f"{source} holds no timed video packets")
                offset, count = end, count + added
    except (ValueError, av.FFmpegError) as error:
        raise MediaError(f"{source} does not fit into mp4, which bench uses: {error}") from error


def _append(clip: Any, output: Any, stream: Any, offset: int) -> tuple[int, int]:
    """Write the video packets of `clip`; returns where they end and how many they are."""
    end = added = 0
    for packet in clip.demux(clip.streams.video[0]):
        if packet.dts is None or packet.pts is None:
            continue
        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
        end = max(end, packet.pts + (packet.duration or 1))
        packet.stream = stream
        output.mux(packet)
        added += 1
    return end, added


def compare(clip: Path, folder: Path, rounds: int, filter_name: str) -> Iterator[Comparison]:
    """Yield the comparison after each round; bare and ours take turns."""
    bare: tuple[Measurement, ...] = ()
    ours: tuple[Measurement, ...] = ()
    for number in range(rounds):
        jobs = ["bare", "ours"] if number % 2 == 0 else ["ours", "bare"]
        results = {job: _spawn(job, clip, folder / f"{job}.mp4", filter_name) for job in jobs}
        bare, ours = (*bare, results["bare"]), (*ours, results["ours"])
        yield Comparison(bare, ours)


def _spawn(job: str, clip: Path, target: Path, filter_name: str) -> Measurement:
    command = [sys.executable, "-m", __name__, job, str(clip), str(target), filter_name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MediaError(f"the run to be measured failed: {done.stderr.strip().splitlines()[-1]}")
    return Measurement(**json.loads(done.stdout))


# In the process that is measured


class Meter:
    """Take wall time, CPU time and memory from `start` to `stop`."""

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._over = threading.Event()

    def start(self) -> None:
        """Begin; start-up lies before."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        threading.Thread(target=self._sample, daemon=True).start()

    def stop(self, frames: int) -> Measurement:
        """Return what was measured."""
        wall, cpu = time.monotonic() - self._wall, time.process_time() - self._cpu
        self._over.set()
        samples = self._samples or [0.0]
        early = samples[len(samples) // 4]
        return Measurement(frames, wall, cpu, max(samples), early, samples[-1])

    def _sample(self) -> None:
        # Memory is known on Linux only; elsewhere the figures stay 0.
        statm, page_mb = Path("/proc/self/statm"), mmap.PAGESIZE / 2**20
        while statm.exists() and not self._over.wait(0.25):
            self._samples.append(int(statm.read_text().split()[1]) * page_mb)


def run_bare(clip: Path, target: Path) -> Measurement:
    """Decode and encode in one loop with the file sink's settings, and nothing else."""
    import av

    meter, frames = Meter(), 0
    with av.open(str(clip)) as source, av.open(str(target), "w") as output:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        decoded = source.decode(video)
        first = next(decoded)
        stream = _encoder(output, first, video.guessed_rate or Fraction(30))
        meter.start()
        for frame in itertools.chain([first], decoded):
            frame.pict_type = 0
            output.mux(stream.encode(frame))
            frames += 1
        output.mux(stream.encode(None))
        return meter.stop(frames)


def _encoder(
    output: av.container.OutputContainer, first: av.VideoFrame, rate: Fraction
) -> av.VideoStream:
    from .caps import Caps

    mux, formats = module("stages", "_mux"), module("stages", "_formats")
    params = stage_class("file").Params(path="bare.mp4")
    options = formats.encoder_options("libx264", params.preset, params.crf, float(rate))  # type: ignore[attr-defined]
    encoding = mux.Encoding("libx264", options, params.keyframe_interval)  # type: ignore[attr-defined]
    caps = Caps(first.format.name, first.width, first.height, rate)
    stream: av.VideoStream = mux.open_encoder(output, encoding, caps, first.time_base, rate)
    return stream


def run_ours(clip: Path, target: Path, filter_name: str) -> Measurement:
    """Run the whole pipeline: detection, landmarks, smoothing, the filter, the file."""
    from .bus import Kind, Message
    from .runner import Pipeline, State

    meter = Meter()

    def listen(message: Message) -> None:
        if message.kind is Kind.STATE and message.value is State.PLAYING:
            meter.start()

    names = {"capture": {"source": str(clip)}, "detect": {}, "landmarks": {}, "smooth": {}}
    names["overlay"] = {"filter": filter_name}
    names["file"] = {"path": str(target), "overwrite": True, "audio": "none"}  # type: ignore[dict-item]
    pipeline = Pipeline(PipelineSpec(tuple(StageSpec(n, n, p) for n, p in names.items())))
    report = pipeline.run(listen)
    return meter.stop(report.sinks[0].written)


if __name__ == "__main__":
    kind, clip_name, target_name, wanted = sys.argv[1:]
    if kind == "bare":
        result = run_bare(Path(clip_name), Path(target_name))
    else:
        result = run_ours(Path(clip_name), Path(target_name), wanted)
    sys.stdout.write(json.dumps(asdict(result)))
