"""`make pdf`: the built book as one PDF, printed page by page by Chromium, and linked from the start page."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from build import HTML, ROOT, pages
from pypdf import PdfWriter
from tqdm.auto import tqdm

PDF = HTML / "cpdgal.pdf"
LINK = '<p><a href="../cpdgal.pdf">The book as one PDF</a></p></article>'


def print_page(chromium: str, page: str, folder: Path) -> Path:
    """One page as a PDF in `folder`; ends with a sentence where Chromium prints none."""
    made = folder / f"{page.replace('/', '-')}.pdf"
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--user-data-dir={folder / 'profile'}",
    ]
    # the time is the page's own clock: figures and equations are drawn when it has passed
    command += ["--virtual-time-budget=10000", f"--print-to-pdf={made}", (HTML / f"{page}.html").as_uri()]
    subprocess.run(command, capture_output=True, check=False, timeout=120)
    if not made.is_file():
        sys.exit(f"Chromium printed no PDF of {page}; open _build/html/{page}.html in it and print by hand to see why")
    return made


def print_book() -> Path:
    """All pages of the committed table of contents, in its order, as one PDF with an outline."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no Chromium on PATH prints the book; install Debian's package chromium, then make pdf again")
    book = PdfWriter()
    names = [page for page in pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))) if page != "index"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for page in tqdm(names, desc="printing", unit="page"):
            book.append(print_page(chromium, page, Path(folder)), outline_item=page.split("/")[1])
    part = PDF.with_suffix(".part")
    book.write(part)
    os.replace(part, PDF)
    start = HTML / "book" / "index.html"
    text = start.read_text(encoding="utf-8")
    if LINK not in text:
        start.write_text(text.replace("</article>", LINK, 1), encoding="utf-8")
    return PDF


if __name__ == "__main__":
    print(f"The book as PDF    {print_book()}")
