"""What a patch script's output means."""
