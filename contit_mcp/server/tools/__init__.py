"""The four tools, one file each."""
