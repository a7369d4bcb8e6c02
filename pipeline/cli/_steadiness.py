"""`vidfilter eval steadiness`: how still the points are, and how far they lag."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._output import Output, output_options
from ._training import Number, progress_bar, training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RENDERED = "the rendered test face"


@click.command("steadiness")
@click.argument("pictures", metavar="[PICTURE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", default="ibug68", show_default=True, help="Also helen194, or an .onnx.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Of the noise.")
@click.option("--seconds", type=Number(2.5), default=10.0, show_default=True, help="Of each run.")
@click.option("--steadiness", type=Number(0, 1), help="Of smooth, if not its default.")
@output_options()
@click.pass_obj
def command(console: Output, /, pictures: tuple[Path, ...], seeds: int, **options: Any) -> None:
    """Measure how still points stay on a still face, and how far they lag behind a moving one.

    Each PICTURE shows a face; without one, the rendered test face serves. The protocol stands in
    docs/evaluation.md: --seeds and --seconds make it shorter.
    """
    judge = training("evaluate_steadiness")
    rows = []
    with progress_bar(console, "judging", max(len(pictures), 1) * (seeds + 1)) as done:
        for number, picture in enumerate(pictures or (None,)):
            run = _Run(judge, picture, options)
            for part in run.measure(seeds):
                done(number * (seeds + 1) + part)
            rows.append(run.figures)
    result = {
        "steadiness_percent": round(sum(row["steadiness_percent"] for row in rows) / len(rows), 4),
        "steadiness_percent_worst": max(row["steadiness_percent"] for row in rows),
        "lag_frames_worst": max((row["lag_frames"] for row in rows), key=abs),
        "seeds": seeds,
        "protocol": {
            "fps": judge.FPS,
            "interocular_px": judge.INTEROCULAR_PX,
            "noise_sigma": judge.NOISE,
            "jpeg_quality": judge.JPEG_QUALITY,
            "amplitude_px": judge.AMPLITUDE_PX,
            "frequency_hz": judge.FREQUENCY_HZ,
        },
        **options,
        "pictures": rows,
    }
    console.result(_text(result), result)


def measure(picture: Path | None, model: str) -> dict[str, Any]:
    """Return the figures of one picture, or of the rendered face, by the whole protocol."""
    judge = training("evaluate_steadiness")
    options = {"seconds": judge.SECONDS, "steadiness": None, "model": model}
    run = _Run(judge, picture, options)
    list(run.measure(judge.SEEDS))
    return run.figures


class _Run:
    """The measurement of one picture, through the stages."""

    def __init__(self, judge: Any, picture: Path | None, options: dict[str, Any]) -> None:
        self.judge = judge
        self.figures: dict[str, Any] = {}
        self.name = _RENDERED if picture is None else str(picture)
        self.seconds = float(options["seconds"])
        smooth = {} if options["steadiness"] is None else {"steadiness": options["steadiness"]}
        self.stages = {"detect": {}, "landmarks": {"model": options["model"]}, "smooth": smooth}
        self.portrait = self._portrait(picture)

    def measure(self, seeds: int) -> Iterator[int]:
        """Fill `figures`; yields after each of its `seeds` + 1 parts which one is done."""
        judge, shakes = self.judge, []
        for seed in range(seeds):
            points = self._follow(judge.still(self.portrait, self.seconds, seed))
            shakes.append(100 * judge.deviation(points))
            yield seed + 1
        swung = self._follow(judge.moving(self.portrait, self.seconds, 0))
        yield seeds + 1
        course = swung[:, :, 0].mean(axis=1)
        lag, gain = judge.lag_and_gain(course, judge.motion_px(self.seconds))
        self.figures = {
            "picture": self.name,
            "steadiness_percent": round(sum(shakes) / len(shakes), 4),
            "by_seed": [round(shake, 4) for shake in shakes],
            "lag_frames": round(lag, 2),
            "gain": round(gain, 4),
        }

    def _portrait(self, path: Path | None) -> Any:
        """Find the largest face of the picture and scale the picture by it."""
        from ..registry import module

        if path is None:
            scene = module("stages", "_testface").FaceScene(640, 480, motion=0)
            bgr = scene.render(0.0)
        else:
            bgr = training("landmark_formats").read_bgr(path)
        (frame,) = self._frames([bgr])
        faces = [face for face in frame.faces if face.landmarks_px is not None]
        if not faces:
            raise self._lost("no face found")
        face = max(faces, key=lambda face: float(_extent(face.landmarks_px)))
        across = module("models", "topology").topology(face.scheme).interocular(face.landmarks_px)
        x, y = (face.landmarks_px.min(axis=0) + face.landmarks_px.max(axis=0)).tolist()
        return self.judge.Portrait.of(bgr, (x / 2, y / 2), float(across))

    def _follow(self, pictures: Iterable[Any]) -> Any:
        """Return the points (T, K, 2) of the face in the middle of each frame."""
        import numpy as np

        rows: list[Any] = []
        for number, frame in enumerate(self._frames(pictures)):
            if not frame.faces or any(face.landmarks_px is None for face in frame.faces):
                raise self._lost(f"the face was lost in frame {number}")
            near = rows[-1].mean(axis=0) if rows else (self.judge.SIDE_PX / 2,) * 2
            centres = [face.landmarks_px.mean(axis=0) for face in frame.faces]
            nearest = int(np.argmin([np.linalg.norm(centre - near) for centre in centres]))
            rows.append(frame.faces[nearest].landmarks_px)
        return np.stack(rows)

    def _frames(self, pictures: Iterable[Any]) -> Iterator[Any]:
        """Yield frames of pictures (H, W, 3) that went through the stages."""
        from ..errors import Flushing
        from ..runner import Pipeline

        queue = iter(pictures)
        first = next(queue)
        height, width = first.shape[:2]
        source = {"width": width, "height": height, "format": "bgr24", "fps": self.judge.FPS}
        pipeline = Pipeline.line(appsrc=source, **self.stages, appsink={})

        pipeline.prepare()
        entrance = pipeline.stage("appsrc")

        def feed() -> None:
            try:
                with contextlib.suppress(Flushing):
                    entrance.push(first)
                    for picture in queue:
                        entrance.push(picture)
            finally:
                entrance.end()

        thread = threading.Thread(target=feed, name="steadiness-feed", daemon=True)
        thread.start()
        yield from pipeline.frames()
        thread.join()

    def _lost(self, what: str) -> Exception:
        from ..errors import VidfilterError

        return VidfilterError(f"{self.name}: {what}")


def _extent(points: Any) -> Any:
    return (points.max(axis=0) - points.min(axis=0)).max()


def _text(result: dict[str, Any]) -> str:
    lines = [f"{'shake':>9} {'lag':>12} {'gain':>6}  picture"]
    lines += [
        f"{row['steadiness_percent']:7.3f} % {row['lag_frames']:6.2f} frame {row['gain']:6.3f}  "
        f"{row['picture']}"
        for row in result["pictures"]
    ]
    return "\n".join(lines)
