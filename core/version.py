"""The version of Gapless: the package metadata and `--version` read it here."""

VERSION = "0.2.0"
