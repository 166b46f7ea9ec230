"""What is published: releases on disk, the database of views that BI opens, and their contract."""

from minerals.releases.contract import Column, PublishedMart
from minerals.releases.store import CURRENT, MANIFEST, Release, ReleaseStore

__all__ = ["CURRENT", "MANIFEST", "Column", "PublishedMart", "Release", "ReleaseStore"]
