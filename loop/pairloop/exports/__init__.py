"""What a campaign gives to the next tool: preferences, votes and models, each with a card that says what it is."""
