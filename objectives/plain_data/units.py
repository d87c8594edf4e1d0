"""A unit of memory is so many bytes; whoever converts reads it here."""

MIB = 2**20
