"""The version of Overtone; the package, the command line and reports of bugs take it from here."""

VERSION = "0.1.0"
