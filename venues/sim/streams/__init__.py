"""The exchange's websockets: one channel per interface, and the loop that paces them all."""
