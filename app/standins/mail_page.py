"""The mail stand-in's pages: plain HTML that reads well with a keyboard, a screen reader and no scripts."""

from collections.abc import Sequence
from html import escape

from app.standins.mailbox import Mail

STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid; }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def listing(mails: Sequence[Mail]) -> str:
    """The page with all mails, newest first."""
    if not mails:
        return _page("Mails", "<p>No mail yet. Send a picture: the notice about it arrives here.</p>")
    rows = "".join(
        f'<tr><td><a href="/messages/{m.id}">{escape(m.subject) or "(no subject)"}</a></td>'
        f"<td>{escape(', '.join(m.to))}</td><td>{escape(m.sender)}</td><td>{escape(m.date)}</td></tr>\n"
        for m in mails
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Subject", "To", "From", "Date"))
    noun = "mail" if len(mails) == 1 else "mails"
    count = f'<p>{len(mails)} {noun}, newest first. Also as <a href="/api/messages">JSON</a>.</p>'
    return _page("Mails", f"{count}\n<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table>")


def single(mail: Mail) -> str:
    """The page with one mail."""
    facts = (("From", mail.sender), ("To", ", ".join(mail.to)), ("Date", mail.date))
    described = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return _page(
        mail.subject or "(no subject)",
        f'<p><a href="/">All mails</a></p>\n<dl>{described}</dl>\n<pre>{escape(mail.text)}</pre>',
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n{body}\n</main></body></html>\n"
    )
