"""Library steps: the native work that is not an emitted kernel, a file a family of rows."""
