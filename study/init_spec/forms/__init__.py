"""This room reads the forms in which people start servers, down to the server's own words."""
