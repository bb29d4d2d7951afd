"""The room that the book keeps for pictures until they are there."""

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

picture_sizes = pytest.importorskip("picture_sizes")


@pytest.mark.parametrize(
    ("root", "size"),
    [
        ('width="613.2pt" height="253.2pt" viewBox="0 0 613.2 253.2"', (818, 338)),
        ('height="20" width="30px"', (30, 20)),
        ('viewBox="0 0 240 120" role="img"', (240, 120)),
        ('viewBox="-1.5 0,240 120.6" width="100%"', (240, 121)),
        ('stroke-width="3" height="20"', None),
    ],
)
def test_an_svg_says_its_size_in_points_pixels_or_a_box(tmp_path, root, size):
    file = tmp_path / "a.svg"
    file.write_text(f"<?xml version='1.0'?>\n<!-- -->\n<svg {root}><path/></svg>", encoding="utf-8")
    assert picture_sizes.size(file) == size


def test_a_png_has_its_pixels_and_another_file_none(tmp_path):
    Image.new("L", (7, 300)).save(tmp_path / "a.png")
    assert picture_sizes.size(tmp_path / "a.png") == (7, 300)
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    assert picture_sizes.size(tmp_path / "a.gif") is None


def test_pictures_of_a_page_are_sized_once_and_those_below_its_first_load_late(tmp_path):
    Image.new("L", (7, 3)).save(tmp_path / "a.png")
    known = 'width="7" height="3" decoding="async"'
    script = "<script>x = '<img src=\"a.png\">'</script>"
    page = [
        '<img src="a.png" alt="A"/><article><img alt="" src="a.png?v=1" /><img src="none.png">',
        f'<img width="2" src="a.png">{script}<img src="a.png"></article><img src="a.png">',
    ]
    sized = [
        f'<img src="a.png" alt="A" {known}/><article><img alt="" src="a.png?v=1" {known} />',
        f'<img src="none.png"><img width="2" src="a.png">{script}',
        f'<img src="a.png" {known} loading="lazy"></article><img src="a.png" {known}>',
    ]
    once = picture_sizes.with_sizes("".join(page), tmp_path)
    assert once == "".join(sized)
    assert picture_sizes.with_sizes(once, tmp_path) == once
