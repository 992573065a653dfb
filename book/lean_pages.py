"""What every page of the book would carry without need, twice, or wrongly marked up, put right before it is written."""

import re

# Live kernels, which the book does not offer: their script comes from another host.
UNUSED = re.compile("thebe", re.IGNORECASE)


def keep_needed(app, pagename, templatename, context, doctree) -> None:
    """Leave each script once; MathJax where there is mathematics; none for live kernels."""
    has_math = doctree is not None and 'class="math' in context.get("body", "")
    seen, kept = set(), []
    for script in context["script_files"]:
        body = script.attributes.get("body", "")
        address = str(script.filename or "")
        mathjax = "mathjax" in (address + body).lower()
        if UNUSED.search(address + body) or (mathjax and not has_math) or (body and body in seen):
            continue
        seen.add(body)
        kept.append(script)
    context["script_files"] = kept
    if "body" in context:  # its entries are no list items to a screen reader
        context["body"] = context["body"].replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app):
    app.connect("html-page-context", keep_needed, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
