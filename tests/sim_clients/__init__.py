"""The vendor's own client libraries at the embedded exchange."""
