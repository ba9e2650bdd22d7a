"""Content credentials of the Coalition for Content Provenance and Authenticity, by the package `c2pa-python`."""
