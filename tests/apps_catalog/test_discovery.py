"""Discovery.md: fields with their limits, and Markdown that cannot act."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps_catalog.discovery import DiscoveryErrors, missing_for_listing, parse, render


def faults(front: str, body: str = "text") -> list[str]:
    with pytest.raises(DiscoveryErrors) as caught:
        parse(f"---\n{front}\n---\n{body}")
    return [problem.key for problem in caught.value.problems]


def test_front_matter_and_body_are_read() -> None:
    found = parse(b'---\napp_name: Demo\ngit: "<https://example.org/x>"\nopen_code: true\nunknown: 1\n---\n\n# Hello\n')
    assert (found.app_name, found.git, found.open_code, found.body) == (
        "Demo",
        "https://example.org/x",
        True,
        "# Hello",
    )
    assert found.html == "<h2>Hello</h2>\n"


def test_a_file_without_front_matter_is_all_body() -> None:
    found = parse("just text\n---\nmore")
    assert found.body == "just text\n---\nmore"
    assert missing_for_listing(found) == ("app_name", "tagline")


@pytest.mark.parametrize(
    ("front", "field"),
    [
        ("app_name: abcdefghijklm", "app_name"),
        ("title: " + "x" * 46, "title"),
        ("tagline: " + "x" * 70, "tagline"),
        ("theme_color: red", "theme_color"),
        ("homepage: javascript:alert(1)", "homepage"),
        ("homepage: https://user@example.org", "homepage"),
        ("git: file:///etc", "git"),
        ("media: [a, b, c, d, e, f]", "media"),
        ("media: [https://youtu.be/1, https://youtu.be/2]", "media"),
        ("media: [https://example.org/x]", "media"),
        ("media: [../x.png]", "media"),
        ("media: [/x.png]", "media"),
        ("app_name: 12", "app_name"),
        ("open_code: maybe", "open_code"),
    ],
)
def test_each_limit_names_its_field(front: str, field: str) -> None:
    assert faults(front) == [field]


def test_all_faults_come_at_once() -> None:
    assert faults("app_name: abcdefghijklm\ntagline: 1", "x" * 4251) == ["app_name", "tagline", "body"]


def test_front_matter_is_read_as_strictly_as_a_spacefile() -> None:
    assert faults("a: &x 1") == [""]


def test_images_become_their_description_and_html_becomes_text() -> None:
    html = render("![a <b> cat](http://x/y.png)\n\n<script>alert(1)</script>\n\n[ok](https://example.org)")
    assert "<img" not in html
    assert "<script" not in html
    assert "a &lt;b&gt; cat" in html
    assert '<a href="https://example.org" rel="nofollow noopener">ok</a>' in html


_SAFE = re.compile(
    r"<(?:/?(?:p|h[2-6]|strong|em|s|ul|ol|li|blockquote|code|pre|table|thead|tbody|tr|th|td|a)|br|hr)[\s/>]"
)


@given(st.text("<>\"'()[]!#*`-_ \n:/abcjavscript&;", max_size=200))
def test_nothing_that_is_rendered_can_act(markdown: str) -> None:
    html = render(markdown)
    assert all(_SAFE.match(html, found.start()) for found in re.finditer("<", html))
    assert not re.search(r'href="\s*(javascript|data|vbscript):', html, re.IGNORECASE)
