"""Rules of the former platform's Discovery.md and of what its client sent, one test named after each."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.bundles import BundleError, check
from apps_catalog.discovery import DiscoveryErrors, missing_for_listing, parse
from apps_catalog.packing import DEFAULT_IGNORES, pack

LIMITS = {"app_name": 12, "title": 45, "tagline": 69}


def front(text: str, body: str = "text") -> str:
    return f"---\n{text}\n---\n{body}"


@pytest.mark.parametrize(("field", "limit"), LIMITS.items())
def test_a_field_may_be_as_long_as_its_limit_counted_in_characters(field: str, limit: int) -> None:
    for char in ("x", "ä", "漢"):
        assert len(getattr(parse(front(f"{field}: {char * limit}")), field)) == limit


def test_the_text_has_at_most_4250_characters() -> None:
    assert len(parse(front("title: x", "x" * 4250)).body) == 4250


def test_unknown_fields_are_ignored() -> None:
    assert parse(front("wat: 1\ncontent_raw: x\ntitle: yes it is")).title == "yes it is"


def test_angle_brackets_around_addresses_are_taken_off() -> None:
    found = parse(front('git: "<https://e.org/a.git>"\nhomepage: "<https://e.org>"\nmedia: ["<https://youtu.be/x>"]'))
    assert (found.git, found.homepage, found.media) == ("https://e.org/a.git", "https://e.org", ("https://youtu.be/x",))


@pytest.mark.parametrize("address", ["https://e.org/x", "git@e.org:a/b.git", "ssh://git@e.org/a/b.git"])
def test_git_is_any_address_of_git(address: str) -> None:
    assert parse(front(f"git: {address}\nported_from: {address}")).git == address


@pytest.mark.parametrize("colour", ["#abc", "#A1B2C3"])
def test_the_theme_is_a_hex_colour(colour: str) -> None:
    assert parse(front(f'theme_color: "{colour}"')).theme_color == colour


def test_media_are_five_in_their_order_one_of_which_may_be_a_video() -> None:
    written = ["a.png", "shots/b.webp", "https://www.loom.com/share/x", "c.jpg", "d.png"]
    assert parse(front("media: [" + ", ".join(written) + "]")).media == tuple(written)


@pytest.mark.parametrize("path", ["/shots/a.png", "../a.png", "a/../../b.png", "a\\b.png", '""'])
def test_a_screenshot_is_a_path_inside_the_project(path: str) -> None:
    with pytest.raises(DiscoveryErrors) as refusal:
        parse(front(f"media: [{path}]"))
    assert [problem.key for problem in refusal.value.problems] == ["media"]


def test_open_code_is_off_unless_said() -> None:
    assert parse(front("title: x")).open_code is False and parse(front("open_code: true")).open_code is True


def test_first_headings_become_second_ones_and_links_stay() -> None:
    html = parse(front("title: x", "# One\n\n## Two\n\n[e](https://e.org)")).html
    assert "<h1" not in html and html.count("<h2>") == 2 and 'href="https://e.org"' in html


def test_a_listed_release_needs_name_tagline_and_text() -> None:
    assert missing_for_listing(parse("")) == ("app_name", "tagline", "body")
    assert missing_for_listing(parse(front("app_name: x\ntagline: y"))) == ()


def test_a_line_of_dashes_in_the_text_ends_nothing() -> None:
    assert parse(front("title: x", "one\n---\ntwo")).body == "one\n---\ntwo"


@given(st.one_of(st.binary(max_size=300), st.text("-\r\n: #x'\"[]{}&*!\ufeff", max_size=120)))
def test_any_bytes_are_a_page_or_are_refused_with_fields(text: bytes | str) -> None:
    for written in (text, text.join(["---\n", "\n---\n"]) if isinstance(text, str) else b"---\n" + text + b"\n---\n"):
        try:
            assert isinstance(parse(written).html, str)
        except DiscoveryErrors as errors:
            assert errors.problems and all(problem.message for problem in errors.problems)


@pytest.mark.parametrize("pattern", DEFAULT_IGNORES)
def test_what_the_former_client_left_out_stays_behind_at_any_depth(tmp_path: Path, pattern: str) -> None:
    name = pattern.strip("/").replace("*", "x")
    for folder in (tmp_path, tmp_path / "a" / "b"):
        folder.mkdir(parents=True, exist_ok=True)
        if pattern.endswith("/"):  # its folder's own name does not match, what is in it does
            (folder / name).mkdir()
            (folder / name / "x").write_text("")
        elif not (folder / name).exists():
            (folder / name).write_text("")
        (folder / "stays").write_text("")
    assert pack(tmp_path, io.BytesIO()).names == ("a/b/stays", "stays")


def test_a_spaceignore_counts_in_the_root_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".spaceignore").write_text("x\n")
    (tmp_path / "a" / "x").write_text("")
    (tmp_path / "y").write_text("")
    assert pack(tmp_path, io.BytesIO()).names == ("a/x", "y")


def test_a_zip_names_files_with_slashes_and_no_folders_and_is_deflated(tmp_path: Path) -> None:
    (tmp_path / "a" / "empty").mkdir(parents=True)
    (tmp_path / "a" / "x").write_text("x" * 1000)
    (tmp_path / "Spacefile").write_text("v: 0")
    out = io.BytesIO()
    pack(tmp_path, out)
    with zipfile.ZipFile(out) as archive:
        found = [(info.filename, info.compress_type, info.date_time[0]) for info in archive.infolist()]
    assert found == [("Spacefile", zipfile.ZIP_DEFLATED, 1980), ("a/x", zipfile.ZIP_DEFLATED, 1980)]


def test_a_zip_without_modes_and_times_is_accepted_as_the_former_client_wrote_it() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("Spacefile", (1980, 1, 1, 0, 0, 0))
        info.external_attr = info.create_system = 0
        archive.writestr(info, b"v: 0\n")
    assert check(out).names == ("Spacefile",)


@pytest.mark.parametrize("name", ["spacefile", "SPACEFILE", "Spacefile.yml", "app/Spacefile"])
def test_the_file_is_named_spacefile_exactly_and_lies_at_the_top(name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"v: 0\n")
    with pytest.raises(BundleError, match="Spacefile not found"):
        check(out)
