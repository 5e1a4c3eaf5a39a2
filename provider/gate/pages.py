"""The gate's own pages: small, self-contained, and each says what to do. Used by the proxy and the decision endpoint."""

from html import escape

# Nothing of these pages loads, runs or frames anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">{refresh}
<title>{title} · Freehold</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem; line-height: 1.25 }}
p {{ overflow-wrap: anywhere }}
</style></head>
<body><main><h1>{title}</h1>
{text}
</main></body></html>
"""


def page(title: str, *sentences: str, link: tuple[str, str] | None = None, again_s: int = 0) -> str:
    """A page of plain sentences. link: (address, text). again_s > 0: the browser asks again after so many seconds."""
    text = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if link:
        text.append(f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>')
    refresh = f'\n<meta http-equiv="refresh" content="{again_s}">' if again_s else ""
    return _PAGE.format(title=escape(title), text="\n".join(text), refresh=refresh)


COOKIELESS = page(
    "Your browser keeps no cookies for this app",
    "Signing in needs one cookie of this address. It was sent a moment ago, and your browser did not bring it back.",
    "Allow cookies for this address: in the browser's settings, or in the extension that blocks them. Cookies of other "
    "sites are not needed. Then open the app again.",
    link=("/", "Open the app again"),
)
FORGETFUL = page(
    "Your browser forgets that you are signed in",
    "You were signed in here several times within a minute, and each time the next request came without it.",
    "Allow cookies for this address: in the browser's settings, or in the extension that removes them. If its clock is "
    "wrong by days, set it right. Then open the app again.",
    link=("/", "Open the app again"),
)

FIXED = {
    "unknown": page(
        "There is nothing at this address",
        "The address may be misspelt, or the app that was here has been removed.",
        "If it is one of your apps, open it from your Freehold console.",
    ),
    "starting": page("Freehold is starting", "It will be here in a moment. This page asks again by itself.", again_s=2),
    "silent": page(
        "No answer from here right now",
        "What should answer at this address does not. If it has just been started or changed, wait a moment and reload.",
        "If it stays like this, open the app's page in your Freehold console: it shows the logs and can restart it.",
    ),
    "slow": page(
        "The answer took too long",
        "The app was reached but did not answer in time. Reload to try again, or look at its logs in your console.",
    ),
    "undecided": page(
        "Freehold cannot check who you are right now",
        "Until it can, nobody gets in. This page asks again by itself.",
        again_s=3,
    ),
}
