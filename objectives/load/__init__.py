"""What is sent to the servers, how it is sent on time, and what came back."""
