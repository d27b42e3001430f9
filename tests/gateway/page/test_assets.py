"""The page's files keep to their rules: small, nothing from elsewhere, no markup from data, all words in one place."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_args

import pytest

from gateway import __version__
from gateway.page.shelf import INDEX, TYPES, load_assets
from gateway.states.packml import STATES, UNKNOWN, CategoryName

FOLDER = Path(__file__).parents[3] / "gateway/page/assets"
MOST_BYTES = 300_000
MOST_LINES = 400
ASSETS = load_assets()
OWN = {name: asset.plain.decode() for name, asset in ASSETS.items() if not name.startswith("vendor/")}
SCRIPTS = {name: text for name, text in OWN.items() if name.endswith(".js")}
CODE = {name: text for name, text in SCRIPTS.items() if not name.startswith("texts/")}
TEXTS = dict(re.findall(r'^  "([\w.]+)": (".*"),$', SCRIPTS["texts/en.js"], re.MULTILINE))
NAMESPACE = "http://www.w3.org/"
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|createContextualFragment|DOMParser|document\.write"
    r"|\beval\b|\bFunction\s*\(|srcdoc|javascript:"
)
FAMILIES = {
    "state": {*STATES, UNKNOWN},
    "category": {*get_args(CategoryName), UNKNOWN},
    "nav": set(re.findall(r'name: "(\w+)"', SCRIPTS["views.js"])),
}
"""Of families whose names are the engine's or another file's: which they are."""


def test_all_together_are_small() -> None:
    assert sum(len(asset.packed) for asset in ASSETS.values()) < MOST_BYTES


def test_what_is_served_is_what_is_there() -> None:
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in TYPES}
    assert set(ASSETS) == there
    assert INDEX in there


def test_a_language_is_a_file_and_the_index_lists_it(tmp_path: Path) -> None:
    folder = tmp_path / "assets"
    shutil.copytree(FOLDER, folder)
    (folder / "texts" / "de.js").write_text('// Deutsch.\nexport default {\n  "nav.line": "Linie",\n};\n')
    index = load_assets(folder)[INDEX].plain.decode()
    assert 'data-languages="de en"' in index
    assert f'data-version="{__version__}"' in index


def test_an_address_with_a_password_works() -> None:
    """A kiosk's `https://wall:TOKEN@...`: styles and scripts come as CORS alone then, and data never."""
    tags = re.findall(r'<(?:link rel="stylesheet"|script(?! type="module"))[^>]*>', OWN[INDEX])
    assert len(tags) > 5
    assert all(" crossorigin " in tag for tag in tags)
    assert [
        name for name, text in CODE.items() if re.search(r"\bfetch\((?!address\()|new EventSource\((?!address\()", text)
    ] == []


@pytest.mark.parametrize("name", OWN)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`]*", OWN[name])
    assert not [address for address in addresses if not address.startswith(NAMESPACE)]
    assert "@import" not in OWN[name]


def test_what_others_wrote_names_no_place_to_ask() -> None:
    """Beside their comments."""
    theirs = {name: asset.plain.decode() for name, asset in ASSETS.items() if name.startswith("vendor/")}
    assert theirs
    for text in theirs.values():
        code = re.sub(r"/\*.*?\*/|(?:^|\s)//.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert not [one for one in re.findall(r"https?://[^\"'`\s]*", code) if not one.startswith(NAMESPACE)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_devices_say_is_never_markup(name: str) -> None:
    assert not MARKUP.search(SCRIPTS[name])


@pytest.mark.parametrize("name", OWN)
def test_a_file_is_one_room_with_its_job_on_the_first_line(name: str) -> None:
    text = OWN[name]
    assert text.count("\n") <= MOST_LINES or name.startswith("texts/")
    if not name.endswith((".html", ".svg", ".webmanifest")):
        assert re.match(r"(// |/\* )[A-Z].{20,}", text), "the first line says its job"


@pytest.mark.parametrize("name", CODE)
def test_every_module_that_is_imported_is_there(name: str) -> None:
    for wanted in re.findall(r'from "(\./|\.\./)([\w./-]+)"', CODE[name]):
        folder = (FOLDER / name).parent
        assert (folder / "".join(wanted)).is_file(), wanted


ROOMS = {
    "views/line.css": ("views/line.js", "views/machine.js", "bars.js"),
    "views/signals.css": ("views/signals.js", "spark.js"),
    "views/plumbing.css": ("views/plumbing.js",),
}
"""Style sheets of one view; all others but style.css are of those that are not named here."""


def test_a_style_sheet_is_its_own_views_alone() -> None:
    """A class that a sheet names without the view around it is used by no script of another room."""
    named = {script for scripts in ROOMS.values() for script in scripts}
    for sheet in (name for name in OWN if name.endswith(".css") and name != "style.css"):
        own = ROOMS.get(sheet, tuple(name for name in CODE if name not in named))
        plain = re.sub(r"/\*.*?\*/", "", OWN[sheet], flags=re.DOTALL)
        leading = {frozenset(one[1:].split(".")) for one in re.findall(r"(?:^|[,{}])\s*(\.[\w.-]+)", plain)}
        for script in set(CODE) - set(own) - {"app.js"}:
            used = [set(names.split()) for names in re.findall(r'class="([^"$]*)"', CODE[script])]
            taken = [set(one) for one in leading if any(one <= names for names in used)]
            assert not taken, f"{sheet} and {script}"


def test_no_module_is_left_over() -> None:
    reached, waiting = {"theme.js"}, ["app.js"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            text = ASSETS[name].plain.decode() if name.startswith("vendor/") else SCRIPTS[name]
            found = re.findall(r'(?:from|import) "(\.{1,2}/[\w./-]+)"', text)
            waiting += [(FOLDER / name).parent.joinpath(one).resolve().relative_to(FOLDER).as_posix() for one in found]
    assert {name for name in ASSETS if name.endswith(".js") and not name.startswith("texts/")} <= reached


def used_keys() -> set[str]:
    keys = {key for text in CODE.values() for key in re.findall(r'\bt\(\s*"([\w.]+)"', text)}
    for text in CODE.values():  # t(condition ? "one" : "other")
        keys |= {key for pair in re.findall(r'\bt\([^()"]*\? "([\w.]+)" : "([\w.]+)"', text) for key in pair}
    return keys


def families() -> set[str]:
    return {family for text in CODE.values() for family in re.findall(r'\bword\("(\w+)"', text)}


def test_every_text_that_is_used_exists_and_none_is_left_over() -> None:
    assert len(TEXTS) == len(re.findall(r'^  "', SCRIPTS["texts/en.js"], re.MULTILINE)), "one key a line"
    used, of_families = used_keys(), tuple(f"{family}." for family in families())
    assert used <= TEXTS.keys()
    assert not {key for key in TEXTS.keys() - used if not key.startswith(of_families)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_a_word_for_each_of_its_names(family: str) -> None:
    assert {key.partition(".")[2] for key in TEXTS if key.startswith(f"{family}.")} == FAMILIES[family]


@pytest.mark.parametrize("name", CODE)
def test_words_are_in_the_texts_alone(name: str) -> None:
    """Between the tags of a template, and in what is read out or shown beside, stands no word but by `t` or `word`."""
    for template in templates(CODE[name]):
        outside = re.sub(r"<!--.*?-->", "", template)
        between = re.findall(r">([^<>]*)<", outside)
        assert not [words for words in between if re.search(r"[A-Za-z]{2,}", words.replace("\x00", ""))]
        assert not re.findall(r'\b(?:title|aria-label|placeholder|alt)="[^"\x00]*[A-Za-z]', outside)


def test_the_index_has_no_words_but_the_name_and_what_is_said_without_scripts() -> None:
    plain = re.sub(r"<noscript>.*?</noscript>", "", OWN[INDEX], flags=re.DOTALL)
    assert re.sub(r"<[^>]*>", "", plain).split() == ["linegate"]


def templates(text: str) -> list[str]:
    """The html`...` templates of a module, each `${...}` within as one NUL."""
    found = []
    for begin in (match.end() for match in re.finditer(r"html`", text)):
        template, at = "", begin
        while text[at] != "`":
            if text.startswith("${", at):
                at = after_braces(text, at + 2)
                template += "\x00"
            else:
                template += text[at]
                at += 1
        found.append(template)
    return found


def after_braces(text: str, at: int) -> int:
    """Where the `${` that ends before `at` is closed; templates within are skipped."""
    depth = 1
    while depth:
        if text[at] == "`":
            at += 1
            while text[at] != "`":
                at = after_braces(text, at + 2) if text.startswith("${", at) else at + 1
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at
