"""Select files of a record by tile, split or patterns of names."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import WrongUsage
from ..names import UnitName, fold_split, fold_tile, try_name
from .manifest import Manifest, RecordFile


@dataclass(frozen=True)
class FileChoice:
    """Selects files of a record. An empty field selects all."""

    tiles: frozenset[str] = frozenset()
    splits: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()

    @classmethod
    def of(cls, tiles: Iterable[str] = (), splits: Iterable[str] = (), globs: Iterable[str] = ()) -> FileChoice:
        return cls(frozenset(map(fold_tile, tiles)), frozenset(map(fold_split, splits)), tuple(globs))

    def __call__(self, key: str) -> bool:
        if self.globs and not any(fnmatch.fnmatchcase(key, glob) for glob in self.globs):
            return False
        if not (self.tiles or self.splits):
            return True
        unit = _unit(key)
        if unit is None:
            return False
        return (not self.tiles or unit.tile in self.tiles) and (not self.splits or unit.split in self.splits)

    def of_manifest(self, manifest: Manifest) -> list[RecordFile]:
        """The selected files.

        Raises
        ------
        WrongUsage
            If no file is selected, or one of the tiles, splits or patterns matches no file, as when it is mistyped.
        """
        keys, where = [file.key for file in manifest.files], f"record {manifest.record}"
        units = [unit for key in keys if (unit := _unit(key))]
        for kind, asked, there in (
            ("tile", self.tiles, {unit.tile for unit in units}),
            ("split", self.splits, {unit.split for unit in units}),
        ):
            if strange := sorted(asked - there):
                choices = ", ".join(sorted(there)) or f"files without a {kind} in their names"
                raise WrongUsage(f"the record has no {kind} {', '.join(strange)}", where=where, found=choices)
        for glob in self.globs:
            if not any(fnmatch.fnmatchcase(key, glob) for key in keys):
                raise WrongUsage(f"no file of the record matches {glob}", where=where, found=_some(keys))
        files = [file for file in manifest.files if self(file.key)]
        if not files:
            raise WrongUsage("no file of the record matches all options", where=where, found=_some(keys))
        return files


def _some(keys: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join(keys[:6]) + (f", and {len(keys) - 6} more (s2ct list)" if len(keys) > 6 else "")


def _unit(key: str) -> UnitName | None:
    parsed = try_name(key)
    return parsed.unit if parsed and (parsed.sure or key.lower().endswith(".7z")) else None
