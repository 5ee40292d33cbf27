"""What a person is told: importance, grouping, rates, the daily summary and milestones, as pure rules."""
