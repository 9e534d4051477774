"""Pictures: the same figures, the same bytes; readable by machines that read aloud."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

from core.charts.canvas import BLUE, data_uri, drawing, picture


def _line(kind: str = "svg") -> bytes:
    with drawing(4.0, 3.0) as (figure, axes):
        axes.plot([0.0, 1.0], [1.0, 2.0], color=BLUE, label="expected MOIC")
        axes.set_title("A line")
        axes.legend()
        return picture(figure, kind, "a line that rises")  # type: ignore[arg-type]


def test_the_same_figures_give_the_same_bytes_in_whatever_thread() -> None:
    once = _line()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: _line(), range(8))) == {once}


def test_an_svg_has_a_title_and_its_text_is_text() -> None:
    tree = ET.fromstring(_line())

    assert "a line that rises" in "".join(tree.itertext())
    assert any(element.text == "A line" for element in tree.iter("{http://www.w3.org/2000/svg}text"))
    assert b"<dc:date>" not in _line()


def test_a_png_has_the_size_that_was_asked_for() -> None:
    image = _line("png")

    assert image.startswith(b"\x89PNG")
    assert struct.unpack(">II", image[16:24]) == (400, 300)


def test_a_data_uri_holds_the_picture() -> None:
    assert data_uri(b"<svg/>") == "data:image/svg+xml;base64,PHN2Zy8+"
