"""The actors that handle money, in virtual time between recording neighbours."""
