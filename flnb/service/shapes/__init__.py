"""What travels, as pydantic models; one file a noun."""
