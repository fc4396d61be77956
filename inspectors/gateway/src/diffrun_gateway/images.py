"""Which artifacts say of themselves that they are images: by content type, else by extension, else by schema type.

The pages decide by the same rule which artifacts they show; `inspectors/golden/images.json` holds both to it. What is
served is told by the bytes alone, see `media`.
"""

import re

_EXTENSION = re.compile(r"\.(png|jpe?g|webp|gif|avif|bmp)\Z", re.IGNORECASE | re.ASCII)
_SCHEMAS = frozenset({"generated_sample", "image", "sample_grid", "contact_sheet"})
_OTHERWISE = re.compile(r"(text|application/(json|pdf|zip)|audio|video)\b", re.ASCII)
_SVG = "image/svg+xml"  # a document that may hold scripts
_UNSAID = ("", "application/octet-stream")


def is_image(content_type: str, file_name: str, schema_type: str) -> bool:
    """A content type that says plainly that it is something else is believed."""
    if content_type.startswith("image/"):
        return content_type != _SVG
    if _OTHERWISE.match(content_type) or (content_type in _UNSAID and file_name.lower().endswith(".mp4")):
        return False
    return _EXTENSION.search(file_name) is not None or schema_type in _SCHEMAS
