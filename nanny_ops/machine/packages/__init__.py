"""What a patch script's output means, one leaf per package manager."""
