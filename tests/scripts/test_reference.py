import runpy
from pathlib import Path

import pytest

import sidecar
from sidecar.settings.file import load

ROOT = Path(sidecar.__file__).parents[1]
PAGES: dict[Path, str] = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["pages"]()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_reference_page_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run: make render"


def test_reference_example_can_be_loaded(tmp_path: Path) -> None:
    (page,) = (text for path, text in PAGES.items() if path.name == "settings.md")
    file = tmp_path / "regate.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    loaded = load(file, environ={})
    assert loaded.policies["support"].approval_map == ("Requires human approval.", "Ask the shift lead.")


def test_reference_holds_nothing_of_this_machine() -> None:
    assert str(Path.home() / ".local") not in "".join(PAGES.values())
