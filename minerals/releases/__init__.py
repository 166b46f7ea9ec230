"""What is published: releases on disk, the database of views that BI opens, and their contract."""

from minerals.releases.store import CURRENT, MANIFEST, PublishedMart, Release, ReleaseStore

__all__ = ["CURRENT", "MANIFEST", "PublishedMart", "Release", "ReleaseStore"]
