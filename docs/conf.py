"""How the pages become a site: ``make docs`` builds it in ``out/site``; a test builds it with warnings as errors."""

from __future__ import annotations

from typing import Any, ClassVar

from jinja2.sandbox import SandboxedEnvironment
from numpydoc import docscrape_sphinx

import anlage

project = "anlage"
author = "the authors of anlage"
copyright = "the authors of anlage, BSD-3-Clause"  # noqa: A001 - the name that Sphinx reads
version = release = anlage.__version__
language = "en_GB"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["img", "static"]
default_role = "literal"
highlight_language = "none"
smartquotes = False  # two hyphens begin an option

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sentences say shape and unit; NumPy's types in full would drown them
autosummary_generate = False
numpydoc_show_class_members = False  # a list of what follows anyway

html_theme = "furo"
html_title = f"anlage {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f7d5b", "color-brand-content": "#2f7d5b"},
    "dark_css_variables": {"color-brand-primary": "#5fc795", "color-brand-content": "#5fc795"},
}


class _Template(SandboxedEnvironment):
    """Compiled once: numpydoc makes an environment for each docstring, and would compile its template anew for each."""

    _made: ClassVar[dict[str, Any]] = {}

    def get_template(self, name: Any, *others: Any, **options: Any) -> Any:
        if name not in self._made:
            self._made[name] = super().get_template(name, *others, **options)
        return self._made[name]


docscrape_sphinx.SandboxedEnvironment = _Template


def setup(app: Any) -> None:
    """Leave out what the module says of itself: the page says it."""
    app.connect(
        "autodoc-process-docstring",
        lambda _app, what, _name, _obj, _options, lines: lines.clear() if what == "module" else None,
    )
