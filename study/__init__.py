"""The study searches for the best allocation, decides whether it wins, and ships it."""
