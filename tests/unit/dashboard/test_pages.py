"""Every page is described and pictured."""

import re

from minerals.settings import PROJECT_ROOT

NAMES = sorted(file.stem for file in (PROJECT_ROOT / "dashboard" / "pages").glob("*.py"))
LARGEST = 120_000  # bytes of a picture
FIGURES = PROJECT_ROOT / "docs" / "figures"


def test_each_page_has_one_section_with_its_question_and_picture():
    text = (PROJECT_ROOT / "docs" / "dashboard.md").read_text("utf-8")
    sections = re.split(r"^### ", text.partition("## Change it")[0], flags=re.MULTILINE)[1:]
    pictures = [re.findall(r"\(figures/dashboard_(\w+)\.png\)", section) for section in sections]
    assert sorted(pictures) == [[name] for name in NAMES]
    assert all(re.search(r"\n\*.+\?\*", section) for section in sections)


def test_pictures_are_small():
    sizes = {name: (FIGURES / f"dashboard_{name}.png").stat().st_size for name in NAMES}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
