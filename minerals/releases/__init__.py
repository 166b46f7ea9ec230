"""What is published: releases on disk, the database of views that BI opens, and their contract."""

from minerals.releases.folder import MANIFEST, PublishedMart
from minerals.releases.store import CURRENT, Release, ReleaseStore

__all__ = ["CURRENT", "MANIFEST", "PublishedMart", "Release", "ReleaseStore"]
