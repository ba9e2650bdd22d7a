"""Why a text cannot be read: what was meant, and what to type instead."""
