"""The op table: a file for each family of rows, with what is composed of them."""
