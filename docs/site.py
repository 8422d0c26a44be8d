#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes one site of all documents and of the reference, with Doxygen alone, and checks it for dead links: `make -C docs`.

The pages are those of the repository, in the order below. Their links are made Doxygen's: to another page, to a heading of it, to a
header. A link to any other file of the repository becomes plain text, since the site does not have the file.
"""

import html
import pathlib
import re
import shutil
import subprocess
import sys

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
SITE = DOCS / "site"
PAGES = [
    "README.md",
    "docs/EMBEDDING.md", "docs/LANGUAGES.md", "docs/TROUBLESHOOTING.md", "docs/SEMANTICS.md", "docs/RELIABILITY.md", "docs/CONNECTION.md",
    "docs/PERFORMANCE.md", "docs/experiments/README.md", "docs/experiments/buffers.md", "docs/experiments/release-profile.md",
    "docs/experiments/io_uring.md", "docs/experiments/zerocopy.md", "docs/experiments/busy-poll.md",
    "docs/experiments/instructions.md", "benches/README.md", "docs/PLATFORMS.md", "haxe/README.md",
    "CONTRIBUTING.md", "docs/FIRST_CHANGE.md", "ci/README.md", "SECURITY.md", "MAINTAINERS.md", "RELEASING.md", "CHANGELOG.md",
]
HEADERS = ["include/server_socket.h", "include/server_socket.hpp"]


def page_id(path):
    """README.md is "readme", docs/experiments/README.md "docs_experiments_readme"."""
    return re.sub(r"[^a-z0-9]+", "_", path[: -len(".md")].lower())


def slug(heading):
    """A heading's anchor, as the places that show Markdown make it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def anchor(path, heading_slug):
    return page_id(path) + "__" + re.sub(r"[^a-z0-9]+", "_", heading_slug)


def target_of(page, link):
    """The path in the repository that a link of a page leads to, and its heading."""
    file, _, heading = link.partition("#")
    path = (ROOT / page).parent / file if file else ROOT / page
    return path.resolve().relative_to(ROOT).as_posix(), heading


def doxygens_link(page, match):
    image, text, link = match.group(1), match.group(2), match.group(3)
    if "://" in link:
        return match.group(0)
    path, heading = target_of(page, link)
    if not (ROOT / path).exists():
        sys.exit(f"{page}: {link} does not exist")
    if image:
        shutil.copy(ROOT / path, SITE / "html")
        return f'<span class="picture"><img src="{pathlib.Path(path).name}" alt="{html.escape(text)}"></span>'
    if path in PAGES:
        return f"[{text.replace('`', '')}](@ref {anchor(path, heading) if heading else page_id(path)})"
    if path in HEADERS:
        return f"[{text.replace('`', '')}](@ref {pathlib.Path(path).name})"
    return text


def doxygens(page):
    """A page with Doxygen's links, anchors and bold type; code stays as it is."""
    out, seen = [], []
    for number, part in enumerate(re.split(r"^(\s*```.*?^\s*```)$", (ROOT / page).read_text(), flags=re.M | re.S)):
        if number % 2 == 1:
            # Of troubleshooting all texts are messages: the library's, and those of linkers and the like.
            kinds = "message|text" if page == "docs/TROUBLESHOOTING.md" else "message"
            message = re.fullmatch(rf"\s*```(?:{kinds})\b[^\n]*\n(.*)\n```", part, flags=re.S)
            if message:
                out.append(f'\n<div class="message">\n@verbatim\n{message.group(1)}\n@endverbatim\n</div>')
            else:
                # What stands behind the language is tests/dist/docs.rs's.
                out.append(re.sub(r"^(\s*```\w*).*$", r"\1", part, count=1, flags=re.M))
            continue
        for heading in re.findall(r"^#+ .*$", part, flags=re.M):
            place = anchor(page, slug(heading.lstrip("#"))) if seen else page_id(page)
            # Of two headings with one name the first is meant by a link.
            if place not in seen:
                part = re.sub(rf"^{re.escape(heading)}$", f"{heading.replace('`', '')} {{#{place}}}", part, count=1, flags=re.M)
            seen.append(place)
        part = re.sub(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)", lambda match: doxygens_link(page, match), part)
        # A quote ends code between single backticks for it, a % before a word is not shown, and it takes no ** before a backtick.
        part = re.sub(r"`([^`]+)`", lambda span: f"`{span.group(0)}`" if "'" in span.group(1) else span.group(0), part)
        part = re.sub(r"(?<!\w)%(?=\w)", "%%", part)
        out.append(re.sub(r"\*\*((?:`[^`]*`|[^*`\n]|\n(?!\n))+)\*\*", r"<b>\1</b>", part))
    return "".join(out)


def make():
    shutil.rmtree(SITE, ignore_errors=True)
    (SITE / "html").mkdir(parents=True)
    (SITE / "pages").mkdir()
    for number, page in enumerate(PAGES):
        (SITE / "pages" / f"{number:02}_{page_id(page)}.md").write_text(doxygens(page))
    settings = (DOCS / "Doxyfile").read_text()
    settings += f"\nUSE_MDFILE_AS_MAINPAGE = {SITE / 'pages' / '00_readme.md'}\n"
    done = subprocess.run(["doxygen", "-"], input=settings, text=True, cwd=DOCS)
    if done.returncode != 0:
        sys.exit("doxygen has warnings, see above")
    forget_inputs()
    mend_pages()


def forget_inputs():
    """Doxygen makes an empty page for each file and folder that it has read a document from; they and what leads to them go."""
    made = SITE / "html"
    folders = [page for page in made.glob("dir_*.html") if "include Directory Reference</title>" not in page.read_text()]
    pages = [page.name for page in [*made.glob("[0-9][0-9]__*_8md.html"), *folders]]
    for name in pages:
        (made / name).unlink()
        (made / name).with_suffix(".js").unlink(missing_ok=True)
    ways = [made / "files.html", made / "files_dup.js", *made.glob("navtreeindex*.js"), *(made / "search").glob("*.js")]
    for way in ways:
        lines = way.read_text().splitlines(keepends=True)
        way.write_text("".join(line for line in lines if not any(name in line for name in pages)))


def mend_pages():
    """Links what the texts name of the C header, and gives lists without a heading that of their title."""
    made = SITE / "html"
    places = dict(re.findall(r'\[ "((?:ss|SS)_\w+)", "([^"]+)"', (made / "server__socket_8h.js").read_text()))
    for page in made.glob("*.html"):
        text = page.read_text()
        title = re.search(r"<title>server_socket: (.*)</title>", text).group(1)
        if 'class="title"' not in text:
            heading = f'<div class="header"><div class="headertitle"><div class="title">{title}</div></div></div>'
            text = text.replace('<div class="contents">', f'{heading}\n<div class="contents">', 1)
        # Doxygen makes the first letter of a file's description a capital.
        text = text.replace(">Server_socket", ">server_socket")
        if not page.name.endswith("_source.html") and not page.name.startswith(("globals", "functions")):
            text = with_links(text, places)
        page.write_text(text)


def with_links(page, places):
    """The page with a link wherever a name of these stands in a sentence, and not in code or in a link already."""
    def linked(match):
        name = match.group(0)
        return f'<a class="name" href="{places[name]}">{name}</a>' if name in places else name

    out, within = [], []
    for part in re.split(r"(<[^>]+>)", page):
        tag = re.match(r"<(/?)(\w+)([^>]*)>", part)
        if not tag:
            is_text = any(name in ("p", "li") or "markdownTableBody" in rest or "mdescRight" in rest for name, rest in within)
            if is_text and not any(name in ("a", "pre", "script") or "fragment" in rest for name, rest in within):
                part = re.sub(r"\b(?:ss|SS)_\w+", linked, part)
        elif tag.group(1):
            while within and within.pop()[0] != tag.group(2):
                pass
        elif not part.endswith("/>") and tag.group(2) not in ("br", "hr", "img", "meta", "link", "input"):
            within.append((tag.group(2), tag.group(3)))
        out.append(part)
    return "".join(out)


def check():
    """Every link of the site leads to a file of it, and to a place in that."""
    anchors, count, dead = {}, 0, []
    pages = sorted((SITE / "html").rglob("*.html"))
    for page in pages:
        anchors[page] = set(re.findall(r'\b(?:id|name)="([^"]+)"', page.read_text()))
    for page in pages:
        for link in map(html.unescape, re.findall(r'\b(?:href|src)="([^"]+)"', page.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            file, _, place = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            # Doxygen itself names a heading that it has not made, where a class has only private parts.
            there = target.exists() and (not place or target not in anchors or place in anchors[target] or place == "nested-classes")
            count += 1
            if not there:
                dead.append(f"{page.name}: {link}")
        # What Doxygen has not understood as a link stays as it was.
        for text in re.findall(r"\[[^\]\n]+\]\([^)\s]+\.(?:md|h|hpp)[^)\s]*\)", page.read_text()):
            dead.append(f"{page.name}: {text}")
    if dead:
        sys.exit("dead links:\n" + "\n".join(sorted(set(dead))))
    print(f"docs/site/html/index.html: {len(PAGES)} documents and the reference, {count} links, none of them dead")


def missing():
    """Documents that the list above lacks."""
    ignored = {"target", ".git", "site", "build", "results", "node_modules", ".github", "corpus"}
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.md") if not ignored & set(path.relative_to(ROOT).parts)}
    return sorted(found - set(PAGES))


if __name__ == "__main__":
    if missing():
        sys.exit(f"docs/site.py does not know {', '.join(missing())}")
    make()
    check()
