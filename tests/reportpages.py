"""Pages of HTML as tests read them, and what must not come alive in one."""

import re
from html.parser import HTMLParser

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ERROR = {
    "cell": 3,
    "heading": "Read the file",
    "ename": "ValueError",
    "evalue": "row 17: Age is -5",
}
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/p.png'>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='javascript&#58alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import url(https://evil.example/x.css);</style>",
    "<td style='background:url(https://evil.example/x)' onclick=alert(1)>1</td>",
    "<form action=https://evil.example><button formaction='javascript:alert(1)'>x</button></form>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</details></main></script></style></title><script>alert(1)</script>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href=https://evil.example>",
    (
        "[x](javascript:alert(1)) ![x](https://evil.example/p.png)"
        ' <https://e.example/" onclick=alert(1)>'
    ),
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text inside script and style."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements = []
        self.scripts = []
        self.styles = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        last = self.elements[-1][0] if self.elements else None
        if self.cdata_elem == "script" and last == "script":
            self.scripts.append(data)
        if self.cdata_elem == "style" and last == "style":
            self.styles.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def hrefs(self):
        return [attrs["href"] for attrs in self.all("a") if "href" in attrs]


def assert_inert(page):
    """Nothing on the page runs but our own script, and nothing is fetched."""
    tags = {tag for tag, _ in page.elements}
    assert len(page.scripts) == len(page.all("script")) == 1 and page.all("script") == [{}]
    assert len(page.styles) == len(page.all("style")) == 1
    assert "evil" not in page.styles[0] and "alert" not in page.scripts[0]
    assert not tags & {"foreignobject", "math", "iframe", "form", "link", "base", "object", "embed"}
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert "url(" not in (attrs.get("style") or "").replace("url(#drawing-", "")
        assert (attrs.get("src") or "data:image/").startswith("data:image/")
    for href in page.hrefs():
        scheme = re.match(r"[\s\x00-\x20]*([^/#?]*?):", href)
        assert scheme is None or scheme[1] in {"http", "https", "mailto"}, href
    assert [meta["http-equiv"] for meta in page.all("meta") if "http-equiv" in meta] == [
        "Content-Security-Policy"
    ]
