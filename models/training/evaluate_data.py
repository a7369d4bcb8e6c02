"""Find annotated pictures of any of the three published layouts in a folder."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .landmark_formats import (
    PICTURES,
    AnnotationError,
    Points,
    read_helen,
    read_keypoint_csv,
    read_pts,
)
from .landmark_holdout import listed_names

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY_COLUMNS = 20  # tables of boxes have fewer
_PAIR = re.compile(r"^\s*[-+.\deE]+\s*,\s*[-+.\deE]+\s*$", re.MULTILINE)


class NoFacesError(AnnotationError):
    """A folder holds no annotation of the kind asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFace:
    """One face: the picture that shows it, and its true points (K, 2) in px of that picture.

    `name` is unique in a data set: the annotation's path within it, without its extension.
    """

    name: str
    image: Path
    points_px: Points

    def __str__(self) -> str:
        """Name the face where something is wrong with it."""
        return f"{self.image}: {self.name}"


def find_faces(
    where: Path,
    points: int | None = None,
    images: Path | None = None,
    *,
    held_out_only: bool = False,
    layouts: tuple[str, ...] = (),
) -> list[AnnotatedFace]:
    """Return the annotated faces in the folder (or the one csv) `where`, sorted by name.

    Reads `.pts` beside its picture (`NAME.pts`, or `NAME_K.pts` for face K), a csv of key points,
    and Helen's `.txt`. Pictures are found by name in `where` or in `images`, Helen's also in
    folders `helen...` beside `where`. `points` picks the scheme; None takes 68 where there is
    `.pts` or csv, else 194. `layouts` (of pts, csv, txt) reads those alone. Raises
    AnnotationError naming the file that is missing or wrong, NoFacesError where there are none.
    """
    if not where.exists():
        raise AnnotationError(f"{where}: no such folder")
    files = _annotations(where)
    if points is None:
        points = 68 if files["pts"] or files["csv"] else 194
    kinds = layouts or (("pts", "csv") if points == 68 else ("txt",))
    if not layouts and not any(files[kind] for kind in kinds):
        kinds = ("txt",) if points == 68 else ("pts", "csv")
    root = where if where.is_dir() else where.parent
    pictures = Pictures(root, images)
    if "txt" in kinds:
        pictures.add_helen()
    readers = {"pts": _from_pts, "csv": _from_csv, "txt": _from_txt}
    faces = [
        face
        for kind in kinds
        for path in files[kind]
        for face in readers[kind](path, root, pictures, points)
    ]
    if held_out_only:
        faces = [face for face in faces if is_held_out(face)]
    if not faces:
        what = "held-out faces" if held_out_only else "annotations (.pts, key point .csv, .txt)"
        raise NoFacesError(f"{where}: no {what} found")
    return sorted(faces, key=lambda face: face.name)


class Pictures:
    """The pictures under some folders, by name."""

    def __init__(self, root: Path, extra: Path | None) -> None:
        if extra is not None and not extra.is_dir():
            raise AnnotationError(f"{extra}: no such folder")
        self._beside = root.absolute().parent
        self._known: dict[str, list[Path]] = defaultdict(list)
        for folder in (root, *([extra] if extra else [])):
            self._add(folder.rglob("*"))

    def _add(self, paths: Iterator[Path]) -> None:
        for path in sorted(paths):
            if path.suffix.lower() in PICTURES:
                self._known[path.stem].append(path)

    def add_helen(self) -> None:
        """Add the pictures in folders called `helen...` beside the root.

        Helen's two annotations are published apart and share their pictures.
        """
        self._add(self._beside.glob("helen*/**/*"))

    def find(self, annotation: Path, name: str) -> Path:
        """Return the picture called `name`, in the folder it names or most like the annotation's.

        Its extension may differ, or be missing.
        """
        given = PurePosixPath(name.replace("\\", "/"))
        stem = given.stem if given.suffix.lower() in PICTURES else given.name
        found = self._known.get(stem)
        if not found:
            raise AnnotationError(
                f"{annotation}: its picture {name!r} is not there (--images says where else)"
            )
        folders = given.parts[:-1]
        own = annotation.parent, annotation.stem.partition("_")[0]

        def unlike(path: Path) -> tuple[bool, ...]:
            named = not folders or path.parts[-len(folders) - 1 : -1] == folders
            beside = path.parent == own[0], path.parent.name == own[1]
            return not named, *(not each for each in beside), path.name != given.name

        return min(found, key=unlike)


def _annotations(where: Path) -> dict[str, list[Path]]:
    if where.is_file():
        if where.suffix.lower() != ".csv":
            raise AnnotationError(f"{where}: expected a folder, or a csv of key points")
        return {"csv": [where], "pts": [], "txt": []}
    found: dict[str, list[Path]] = {"pts": [], "csv": [], "txt": []}
    for path in sorted(where.rglob("*")):
        kind = path.suffix.lower().removeprefix(".")
        if kind in found and path.is_file() and (kind == "pts" or _LIKELY[kind](path)):
            found[kind].append(path)
    return found


def _likely_csv(path: Path) -> bool:
    """Tell key points from another table by their number, unless the name says so."""
    columns = _beginning(path).partition("\n")[0].count(",")
    return "keypoint" in path.name or columns >= MANY_COLUMNS


def _likely_txt(path: Path) -> bool:
    """Tell an annotation from a note: by its place, its name or its first lines."""
    if path.parent.name == "annotation" or path.stem.isdigit():
        return True
    return _PAIR.search(_beginning(path)) is not None


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(2000)
    except OSError as error:
        raise AnnotationError(f"{path}: {error.strerror}") from error


_LIKELY = {"csv": _likely_csv, "txt": _likely_txt}


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _from_pts(path: Path, root: Path, pictures: Pictures, points: int) -> Iterator[AnnotatedFace]:
    own = next((p for p in _beside(path, path.stem)), None)
    shared = next((p for p in _beside(path, path.stem.rpartition("_")[0])), None)
    image = own or shared or pictures.find(path, path.stem)
    yield AnnotatedFace(_name(path, root), image, read_pts(path, points))


def _beside(path: Path, stem: str) -> Iterator[Path]:
    for suffix in sorted(PICTURES) if stem else ():
        for candidate in (path.with_name(stem + suffix), path.with_name(stem + suffix.upper())):
            if candidate.is_file():
                yield candidate


def _from_csv(path: Path, root: Path, pictures: Pictures, points: int) -> Iterator[AnnotatedFace]:
    for name, values in read_keypoint_csv(path, points):
        stem = f"{_name(path, root)}/{Path(name).stem}"
        yield AnnotatedFace(stem, pictures.find(path, name), values)


def _from_txt(path: Path, root: Path, pictures: Pictures, points: int) -> Iterator[AnnotatedFace]:
    name, values = read_helen(path, points)
    yield AnnotatedFace(_name(path, root), pictures.find(path, name), values)


def is_held_out(face: AnnotatedFace) -> bool:
    """Return whether the committed list keeps this picture out of training."""
    return bool({face.image.stem, Path(face.name).stem} & _held_out_stems())


@cache
def _held_out_stems() -> frozenset[str]:
    return frozenset(name.rpartition("/")[2] for name in listed_names())
