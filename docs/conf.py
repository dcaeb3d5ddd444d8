"""How the pages become a site: ``make docs`` builds it in ``out/site``; a test builds it with warnings as errors."""

from __future__ import annotations

import anlage

project = "anlage"
author = "the authors of anlage"
copyright = "the authors of anlage, BSD-3-Clause"  # noqa: A001 - the name that Sphinx reads
version = release = anlage.__version__
language = "en_GB"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["img", "*.py"]
nitpicky = False  # types of other libraries have no page here

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the sentences say shape and unit; NumPy's types in full would drown them
autosummary_generate = False
numpydoc_show_class_members = False  # a list of what follows anyway

html_theme = "furo"
html_title = f"anlage {release}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f7d5b", "color-brand-content": "#2f7d5b"},
    "dark_css_variables": {"color-brand-primary": "#5fc795", "color-brand-content": "#5fc795"},
}
