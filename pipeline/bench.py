"""Measure a whole run beside a bare decode-encode of the same clip, in turns (`_turns`).

Each of the two is a process of its own (`python -m vidfilter.pipeline.bench JOB`), so that memory
and CPU time are its own too; start-up (imports, models, opening) is left out.
"""

from __future__ import annotations

import itertools
import json
import mmap
import sys
import threading
import time
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._turns import SLICE_FRAMES, Comparison, Measurement
from ._turns import compare as take_turns
from .errors import MediaError
from .registry import module, stage_class
from .spec import PipelineSpec, StageSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import av.container

NEVER_S = 1e6
TICK_S = 0.05  # looking more often at how far a run is would be seen in its CPU time


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
    """Yield the comparison after each round; bare and ours take turns all the time."""
    bare, ours = (
        [sys.executable, "-m", __name__, job, str(clip), str(folder / f"{job}.mp4"), filter_name]
        for job in ("bare", "ours")
    )
    return take_turns(bare, ours, rounds)


# In the process that is measured


class Meter:
    """Take CPU time and memory from `start` to `stop`, and tell of each slice of frames.

    `frames` returns how many are done. What is told, and to whom, stands in `_turns.Turns`.
    """

    def __init__(self, frames: Callable[[], int]) -> None:
        self._frames = frames
        self._samples: list[float] = []
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin; start-up lies before."""
        _tell(None)
        self._cpu = time.process_time()
        self._watcher.start()

    def stop(self, threads_s: dict[str, float] | None = None) -> None:
        """Tell what was measured."""
        cpu = time.process_time() - self._cpu
        self._over.set()
        self._watcher.join()
        samples = self._samples or [0.0]
        early = samples[len(samples) // 4]
        result = Measurement(
            self._frames(), cpu, max(samples), early, samples[-1], threads_s=threads_s or {}
        )
        given = asdict(result)
        _tell({name: given[name] for name in given if name not in ("wall_s", "slices")})

    def _watch(self) -> None:
        due = SLICE_FRAMES
        for tick in itertools.count():
            if self._over.wait(TICK_S):
                break
            if tick % 5 == 0:
                self._samples.extend(_memory_mb())
            if (done := self._frames()) >= due:
                due = done + SLICE_FRAMES
                _tell([done, time.process_time() - self._cpu])


def _memory_mb() -> list[float]:
    # Known on Linux only; elsewhere the figures stay 0.
    statm = Path("/proc/self/statm")
    return [int(statm.read_text().split()[1]) * mmap.PAGESIZE / 2**20] if statm.exists() else []


def _tell(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def run_bare(clip: Path, target: Path) -> None:
    """Decode and encode in one loop with the file sink's settings, and nothing else."""
    import av

    frames = 0
    meter = Meter(lambda: frames)
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
        meter.stop()


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


def run_ours(clip: Path, target: Path, filter_name: str) -> None:
    """Run the whole pipeline: detection, landmarks, smoothing, the filter, the file."""
    from .bus import Kind, Message
    from .runner import Pipeline, State

    def listen(message: Message) -> None:
        if message.kind is Kind.STATE and message.value is State.PLAYING:
            meter.start()

    names = {"capture": {"source": str(clip)}, "detect": {}, "landmarks": {}, "smooth": {}}
    names["overlay"] = {"filter": filter_name}
    names["file"] = {"path": str(target), "overwrite": True, "audio": "none"}  # type: ignore[dict-item]
    stages = tuple(StageSpec(n, n, p) for n, p in names.items())
    # Who stands still for a while, because it is the other's turn, has not stalled.
    spec = PipelineSpec(stages, stall_timeout_s=NEVER_S, first_frame_timeout_s=NEVER_S)
    pipeline = Pipeline(spec)
    meter = Meter(lambda: sum(pipeline.snapshot().get("written", {}).values()))
    report = pipeline.run(listen)
    meter.stop({stage.id: stage.cpu_ms / 1e3 for stage in report.stages})


if __name__ == "__main__":
    kind, clip_name, target_name, wanted = sys.argv[1:]
    if kind == "bare":
        run_bare(Path(clip_name), Path(target_name))
    else:
        run_ours(Path(clip_name), Path(target_name), wanted)
