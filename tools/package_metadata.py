"""What the package says of the project's address, for hatchling; pyproject.toml has the address."""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A page of a package has no files beside it: relative links in it lead nowhere.
NOT_RELATIVE = r"(?![a-z]+:|#)"
IMAGE = re.compile(rf"(!\[[^\]]*\]\(|\bsrc=\"){NOT_RELATIVE}")
LINK = re.compile(rf"(\]\(|\bhref=\"){NOT_RELATIVE}")


class AddressHook(MetadataHookInterface):
    """Add README and links to the project's pages."""

    def update(self, metadata: dict) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        if address := self.config["address"]:
            metadata["urls"] = {
                "Repository": address,
                "Changelog": f"{address}/blob/HEAD/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
            readme = IMAGE.sub(rf"\g<1>{address}/raw/HEAD/", readme)
            readme = LINK.sub(rf"\g<1>{address}/blob/HEAD/", readme)
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
