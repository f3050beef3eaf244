"""What a lecturer shows and hands out: the player, and exercises with their solutions."""
