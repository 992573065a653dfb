"""Tables as they are read: one row of headers, numbers to the right, many columns in small type; done as a page is written."""

import re

from bs4 import BeautifulSoup, Tag

TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
NUMBER = re.compile(r"[-+−]?\d[\d,.]*( ?%)?( (±|to|of) [^(]+)?")
NO_NUMBER = {"", "-", "NaN", "not run"}  # what stands where a number is missing
MANY = 7  # columns from which on a table is set small


def tidy(html: str) -> str:
    """The HTML of a table with headers in one row and its cells marked for the style sheet."""
    soup = BeautifulSoup(html, "html.parser")
    heads, rows = ([cells(row) for row in soup.select(f"{part} tr")] for part in ("thead", "tbody"))
    if len(heads) > 1 and fit(heads[-2], heads[-1]):
        for above, name in zip(heads[-2], heads.pop(), strict=True):
            if not above.get_text(strip=True):
                above.replace_with(name.extract())
        soup.select("thead tr")[-1].decompose()
    for corner in soup.select("thead th"):
        if not corner.get_text(strip=True):
            corner.name = "td"  # names nothing
    for row in soup.select("thead tr[style]"):
        del row["style"]
    width = max(map(len, rows), default=0)
    for place in range(1, width + 1):  # from the right: row headers on the left span rows
        column = [row[-place] for row in rows if len(row) >= place]
        if is_numeric([cell.get_text(strip=True) for cell in column]):
            for cell in column + [head[-place] for head in heads[-1:] if len(head) >= place]:
                cell["class"] = [*cell.get("class", []), "number"]
                if "dataframe" in soup.table["class"] and re.fullmatch(r"\d{4,}", cell.get_text()):
                    cell.string = f"{int(cell.get_text()):,}"
    if soup.table and width > MANY:
        soup.table["class"] = [*soup.table.get("class", []), "many-columns"]
    return str(soup)


def cells(row: Tag) -> list[Tag]:
    return row.find_all(["th", "td"], recursive=False)


def fit(above: list[Tag], below: list[Tag]) -> bool:
    """Whether two rows of headers are one: cell by cell at most one of the two says something."""
    alike = len(above) == len(below) and not any("colspan" in cell.attrs for cell in above + below)
    return alike and not any(a.get_text(strip=True) and b.get_text(strip=True) for a, b in zip(above, below, strict=True))


def is_numeric(texts: list[str]) -> bool:
    """Whether a column holds numbers, and nothing else but signs that one is missing."""
    said = [text for text in texts if text not in NO_NUMBER]
    return bool(said) and all(NUMBER.fullmatch(text) for text in said)


def tidy_page(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = TABLE.sub(lambda table: tidy(table.group()), context["body"])


def setup(app):
    app.connect("html-page-context", tidy_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
