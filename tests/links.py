"""Checks the links of all Markdown files of the checkout, without a network: `python3 tests/links.py`.

A relative link must lead to a file or folder that git knows, and its anchor to a heading there; so must an anchor on its own page. Links in
code are not looked at, nor what https addresses lead to.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^\s*(```|~~~)")
CODE = re.compile(r"(`+)(?:(?!\1).)+\1")
INLINE = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$")
HTML = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")


def lines(path):
    """The lines outside of fenced code, with their numbers."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path):
    """The anchors of a page: its headings, as GitHub derives them, and explicit ids."""
    found, counts = set(), {}
    for _, line in lines(path):
        found.update(re.findall(r"\b(?:id|name)=\"([^\"]+)\"", line))
        heading = HEADING.match(line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(2))
        slug = re.sub(r"[^\w\- ]", "", text.replace("`", "").lower(), flags=re.UNICODE).replace(" ", "-")
        seen = counts.get(slug, 0)
        counts[slug] = seen + 1
        found.add(slug if seen == 0 else f"{slug}-{seen}")
    return found


def problems(path, known):
    for number, line in lines(path):
        text = CODE.sub("", line)
        targets = INLINE.findall(text) + DEFINITION.findall(text) + HTML.findall(text)
        for target in targets:
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            there = (path.parent / name).resolve() if name else path
            if there not in known:
                yield number, target, "there is no such file"
            elif anchor and there.suffix == ".md" and anchor not in anchors(there):
                yield number, target, "there is no such heading"


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")
    files = {(ROOT / name).resolve() for name in listed if name and (ROOT / name).exists()}
    known = files | {parent for file in files for parent in file.parents if parent.is_relative_to(ROOT)}
    pages = sorted(file for file in files if file.suffix == ".md")
    failed = 0
    for page in pages:
        for number, target, reason in problems(page, known):
            print(f"{page.relative_to(ROOT)}:{number}: {target}: {reason}", file=sys.stderr)
            failed += 1
    if failed:
        sys.exit(1)
    print(f"links: {len(pages)} pages are sound")


main()
