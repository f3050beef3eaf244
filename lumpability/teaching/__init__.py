"""Teaching: the player, and exercises with their solutions."""
