"""Pack the built pages into one file to take away: `make zip`.

    python book/offline.py [_build/html [_build/phase-book-VERSION.zip]]

After unzipping, `index.html` opens in any browser and needs no network. The same pages give the
same bytes: entries are sorted and carry one date.
"""

import sys
import zipfile
from importlib import metadata
from pathlib import Path

LEFT_OUT = (".buildinfo", ".nojekyll", "objects.inv")  # for builders and servers


def pack(pages: Path, target: Path) -> None:
    """Write all files under `pages` into the zip `target`, in one folder of the same name."""
    if not (pages / "index.html").is_file():
        raise FileNotFoundError(f"{pages} holds no built book: run `make book`")
    files = sorted(
        (path.relative_to(pages).as_posix(), path) for path in pages.rglob("*") if path.is_file()
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            if name in LEFT_OUT or path.suffix == ".zip":
                continue
            entry = zipfile.ZipInfo(f"{target.stem}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    build = Path(__file__).resolve().parents[1] / "_build"
    default = build / f"phase-book-{metadata.version('phase-utils')}.zip"
    paths = [*map(Path, sys.argv[1:]), *(build / "html", default)[len(sys.argv) - 1 :]]
    try:
        pack(*paths)
    except FileNotFoundError as missing:
        sys.exit(str(missing))
    print(f"The book to take away: {paths[1]} ({paths[1].stat().st_size / 2**20:.1f} MB)")
